// One request of a stream.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/notification.h>
#include <absl/time/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "client/cpp/answer_shapes.h"
#include "client/cpp/client.h"
#include "client/cpp/request_message.h"
#include "client/cpp/stream_answer.h"

namespace attnd {

class StreamConnection;

// Some bytes of a request's tensor, or its beginning.
struct RequestPiece {
  enum class Kind : std::uint8_t { kWhole, kStart, kPart };

  Kind kind = Kind::kWhole;
  std::size_t tensor = 0;  // index
  Section section = {};
  bool is_last = false;
};

// What a stream knows of a request. The stream's mutex guards what is not said to be otherwise.
struct StreamCall {
  StreamCall(DescribedRequest described, std::optional<AnswerShapes> shapes, absl::Time time);

  // What is to be sent next; called again for what follows.
  RequestPiece NextPiece();
  // Makes it a call of which nothing was sent and nothing has come.
  void Rewind();

  // The message that `piece` travels in. Reads the caller's memory, so not after `done`; without the mutex.
  grpc::ByteBuffer Encode(std::uint64_t as_id, const RequestPiece& piece) const;

  // Constant.
  const DescribedRequest request;
  const std::optional<AnswerShapes> expected;
  const std::size_t size_bytes;  // of the tensors
  const bool goes_whole;
  const absl::Time deadline;
  std::uint64_t number = 0;  // in the order in which the stream's calls came

  // Where it is. 0 and null while nothing of it has been sent.
  std::uint64_t id = 0;
  const StreamConnection* connection = nullptr;
  int failed_attempts = 0;

  // How far it is sent.
  bool has_started = false;
  std::size_t next_tensor = 0;
  std::size_t next_offset_bytes = 0;
  bool is_sent = false;

  // Touched by the thread that reads from the call's connection, without the mutex, and while it has no connection.
  std::optional<StreamAnswer> answer;

  // Those that read the request's memory at this moment.
  int readers = 0;
  bool has_ended = false;
  // Set when it has ended.
  absl::StatusOr<AttendResult> result = absl::UnknownError("on its way");
  // When it has ended and nobody reads the request's memory.
  absl::Notification done;

  // At the deadline.
  grpc::Alarm alarm;
};

}  // namespace attnd

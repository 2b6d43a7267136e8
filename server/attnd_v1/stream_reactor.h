// One StreamAttend call over gRPC.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "server/attend.h"
#include "server/attnd_v1/arriving_tensors.h"
#include "server/attnd_v1/decode.h"
#include "server/attnd_v1/stream_answer.h"

namespace attnd::server::attnd_v1 {

class OpenStreams;

// Requests of one stream that may wait for their answers, and as many that may be arriving in parts: enough for a
// client to keep every worker of a large machine busy, and little enough to look through.
inline constexpr int kMaxStreamRequests = 128;

// Many requests on one call. A request is arriving (its parts come), then waiting (its tensors are whole: it is
// computed, or its answer is computed and not sent), then gone. The stream is read while not too many wait; it is
// written while there is something to send; and it ends when it has been half-closed, or the server shuts down, and
// nothing is left.
//
// Reactions of gRPC's, of the workers and of the alarm meet under one lock, under which gRPC's operations are started:
// gRPC runs none of its reactions within such a start. The object lives while any of them holds it.
class StreamReactor final : public grpc::ServerGenericBidiReactor, public std::enable_shared_from_this<StreamReactor> {
 public:
  // Serves the call, which gRPC binds to the result. `streams` knows it until it is done, and must outlive it.
  static grpc::ServerGenericBidiReactor* Start(const AttendContext& context, grpc::GenericCallbackServerContext* call,
                                               OpenStreams& streams);

  StreamReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call, OpenStreams& streams);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  // The server shuts down: answers what has arrived whole, and ends. From any thread.
  void Drain();

 private:
  struct Request {
    explicit Request(std::uint64_t id) : answer(id) {}

    bool in_parts = false;
    std::unique_ptr<AttendCall> attend;  // null where there is nothing to say but a status
    std::int64_t parsed_size_bytes = 0;
    StreamAnswer answer;

    // While it is arriving.
    std::optional<ArrivingTensors> tensors;
    absl::Time last_part_at;
    // Its memory is being written to, so it must stay; `verdict` then waits for that to end.
    bool is_copying = false;
    // While it is being copied to or computed: what it ends with, whatever else becomes of it.
    absl::Status verdict;
  };
  using Requests = std::map<std::uint64_t, std::unique_ptr<Request>>;

  // What came: without the lock, on the one thread that reads. An error ends the stream.
  absl::Status TakeMessage();
  void TakeScanned(std::uint64_t id, const ScannedMessage& scanned);
  void TakeRequest(std::uint64_t id, const ScannedMessage& scanned);
  void TakePart(std::uint64_t id, const v1::TensorPart& part, const ScannedMessage& scanned);
  // A request that begins: makes its call, checks it and finds its memory. The elements of a whole one are put there.
  absl::Status Open(const ScannedMessage& scanned, Request& request);
  // Copies what the message holds of a tensor whose place was found, and goes on with the request.
  void AddPart(Request& request, const ScannedMessage& scanned, v1::TensorName tensor, std::byte* place);

  // A request that waits. Without the lock, since a small one is computed and answered within.
  void Compute(Request& request);
  void OnAnswer(std::uint64_t id, absl::StatusOr<std::shared_ptr<const Answer>> answer);
  void OnAlarm();

  // What becomes of requests.
  // It has arrived whole, and waits from now on. Compute must follow.
  void Wait(std::unique_ptr<Request> request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndArriving(Request& request, absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of a request in any state; what was said first holds. False where it is gone: also once its last message is being
  // written, which its caller may have before the server knows it written.
  bool End(std::uint64_t id, const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Because of a message about it that is wrong. An id that is new is used by that.
  void Refuse(std::uint64_t id, const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AnswerWithStatus(std::uint64_t id, absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // What becomes of the stream. It ends when what has arrived whole is answered, …
  void Close(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // … or without any further answer.
  void Abandon(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Starts whatever can be started as things stand. After every change.
  void Proceed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReadNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishWhenDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetAlarm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Time NextCheckAt() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Time StallsAt(const Request& request) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Constant after construction.
  const AttendContext context_;
  grpc::GenericCallbackServerContext* const call_;
  OpenStreams& streams_;

  // Of the thread that reads.
  grpc::ByteBuffer message_;
  std::uint64_t last_id_ = 0;  // the largest one so far

  absl::Mutex mutex_;
  // gRPC's own hold, until OnDone.
  std::shared_ptr<StreamReactor> self_ ABSL_GUARDED_BY(mutex_);
  Requests arriving_ ABSL_GUARDED_BY(mutex_);
  Requests computing_ ABSL_GUARDED_BY(mutex_);
  // The one of them that Compute has yet to be called for, by who took its last message.
  Request* whole_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // Those that have something to send, each a message in turn.
  std::deque<std::unique_ptr<Request>> sending_ ABSL_GUARDED_BY(mutex_);
  // The one whose last message is being written.
  std::unique_ptr<Request> ending_ ABSL_GUARDED_BY(mutex_);
  // What computing_, sending_ and ending_ hold.
  std::int64_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;

  grpc::ByteBuffer response_;  // gRPC's while is_writing_
  bool is_reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_taking_ ABSL_GUARDED_BY(mutex_) = false;  // a message that was read
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_abandoned_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_finished_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status end_ ABSL_GUARDED_BY(mutex_);  // what the stream ends with
  absl::Time reading_since_ ABSL_GUARDED_BY(mutex_);
  absl::Time writing_stalls_at_ ABSL_GUARDED_BY(mutex_);
  absl::Time written_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  // Whether the end waits for what was sent to arrive.
  bool is_lingering_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);
  absl::Time alarm_at_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
};

}  // namespace attnd::server::attnd_v1

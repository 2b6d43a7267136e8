// The answer to one request of a stream while it comes.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <optional>
#include <utility>

#include "client/cpp/answer_shapes.h"
#include "client/cpp/attention.h"
#include "client/cpp/result_tensors.h"
#include "client/cpp/stream_message.h"

namespace attnd {

// Puts elements where they stay: one copy. Trusts nothing that the server says. Not thread-safe.
class StreamAnswer {
 public:
  // Without `expected`, no answer is right.
  explicit StreamAnswer(std::optional<AnswerShapes> expected) : expected_(std::move(expected)) {}
  StreamAnswer(const StreamAnswer&) = delete;
  StreamAnswer& operator=(const StreamAnswer&) = delete;

  // Takes the content of a message. INTERNAL where it contradicts the request or what came before, RESOURCE_EXHAUSTED
  // where there is no memory for it.
  absl::Status Add(const StreamAnswerEnvelope& envelope, grpc::ByteBuffer* message);

  // All that was added; once. INTERNAL where something is missing.
  absl::StatusOr<AttendResult> Finish();

 private:
  // A tensor that comes in parts, in order.
  struct Arriving {
    Tensor* tensor = nullptr;  // null where the answer has none
    std::size_t received_bytes = 0;
  };

  absl::Status AddResponse(grpc::ByteBuffer* message, const Section& section);
  absl::Status AddResult(grpc::ByteBuffer* message, const Section& section);
  absl::Status AddPart(grpc::ByteBuffer* message, const Section& section);
  // Null where the answer has no such tensor.
  Arriving* Find(v1::TensorName name);

  const std::optional<AnswerShapes> expected_;
  std::optional<AttendResult> result_;
  PerOutput<Arriving> arriving_;
};

}  // namespace attnd

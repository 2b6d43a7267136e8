// How the answer to one request of a stream leaves, message by message.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "core/tensors.h"
#include "server/attend.h"

namespace attnd::server::attnd_v1 {

// The elements that one message of an answer in parts carries at most: below the 4 MiB that gRPC's clients receive
// unless told otherwise, and small enough that a short answer does not wait long behind a part of a large one.
inline constexpr std::int64_t kAnswerPartBytes = 1 << 20;

// Not thread-safe.
class StreamAnswer {
 public:
  // Nothing but a status, which may be OK only where an answer follows.
  explicit StreamAnswer(std::uint64_t id) : id_(id) {}

  // Before the first message.
  void SetAnswer(std::shared_ptr<const Answer> answer, bool in_parts);
  // Any time: what is left of the answer is void, and this is what the request ends with. Not OK.
  void SetStatus(absl::Status status);

  std::uint64_t id() const { return id_; }
  // What it ends with as things stand.
  const absl::Status& status() const { return status_; }

  // Whether the next message is the last one.
  bool next_is_last() const;
  // `encode_seconds` is since the answer was computed, for its report.
  grpc::ByteBuffer Next(double encode_seconds);

 private:
  bool has_parts_after_next() const;
  // The next tensor after the current one that the answer holds; without a value where there is none.
  std::optional<core::Output> NextTensor() const;

  const std::uint64_t id_;
  absl::Status status_;
  std::shared_ptr<const Answer> answer_;
  bool in_parts_ = false;
  bool result_is_sent_ = false;
  // Of the parts: which of the answer's tensors the next one belongs to, and where it begins.
  core::Output tensor_ = core::Output::kOutput;
  std::int64_t offset_bytes_ = 0;
};

}  // namespace attnd::server::attnd_v1

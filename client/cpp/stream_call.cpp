#include "client/cpp/stream_call.h"

#include <absl/time/clock.h>

#include <algorithm>
#include <utility>

#include "client/cpp/stream_message.h"

namespace attnd {
namespace {

std::size_t TensorsSizeBytes(const DescribedRequest& request) {
  std::size_t size_bytes = 0;
  for (const RequestTensor& tensor : request.tensors) size_bytes += tensor.size_bytes;
  return size_bytes;
}

// A large answer cannot come whole, whatever the request.
bool GoesWhole(std::size_t size_bytes, const std::optional<AnswerShapes>& answer) {
  return size_bytes <= kPartBytes && (!answer || SizeBytes(*answer) <= kPartBytes);
}

}  // namespace

StreamCall::StreamCall(DescribedRequest described, std::optional<AnswerShapes> shapes, absl::Time time)
    : request(std::move(described)),
      expected(std::move(shapes)),
      size_bytes(TensorsSizeBytes(request)),
      goes_whole(GoesWhole(size_bytes, expected)),
      deadline(time) {
  answer.emplace(expected);
}

RequestPiece StreamCall::NextPiece() {
  if (goes_whole) return {.kind = RequestPiece::Kind::kWhole, .is_last = true};
  if (!std::exchange(has_started, true)) {
    return {.kind = RequestPiece::Kind::kStart, .is_last = request.tensors.empty()};
  }
  const std::size_t left_bytes = request.tensors[next_tensor].size_bytes - next_offset_bytes;
  RequestPiece piece{.kind = RequestPiece::Kind::kPart,
                     .tensor = next_tensor,
                     .section = {next_offset_bytes, std::min(left_bytes, kPartBytes)}};
  next_offset_bytes += piece.section.size_bytes;
  if (piece.section.size_bytes == left_bytes) {
    ++next_tensor;
    next_offset_bytes = 0;
  }
  piece.is_last = next_tensor == request.tensors.size();
  return piece;
}

void StreamCall::Rewind() {
  id = 0;
  connection = nullptr;
  has_started = false;
  next_tensor = 0;
  next_offset_bytes = 0;
  is_sent = false;
  answer.emplace(expected);
}

grpc::ByteBuffer StreamCall::Encode(std::uint64_t as_id, const RequestPiece& piece) const {
  if (piece.kind == RequestPiece::Kind::kPart) {
    return EncodePart(as_id, request.tensors[piece.tensor], piece.section.offset_bytes, piece.section.size_bytes);
  }
  std::optional<double> timeout_seconds;
  if (deadline != absl::InfiniteFuture()) {
    // The server takes none of 0; where nothing is left, the alarm is about to ring.
    timeout_seconds = absl::ToDoubleSeconds(std::max(deadline - absl::Now(), absl::Milliseconds(1)));
  }
  return piece.kind == RequestPiece::Kind::kWhole ? EncodeWhole(as_id, timeout_seconds, request)
                                                  : EncodeStart(as_id, timeout_seconds, request);
}

}  // namespace attnd

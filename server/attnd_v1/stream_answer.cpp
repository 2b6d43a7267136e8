#include "server/attnd_v1/stream_answer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "server/attnd_v1/encode.h"

namespace attnd::server::attnd_v1 {
namespace {

constexpr std::array<v1::TensorName, 3> kTensors = {v1::TENSOR_NAME_OUTPUT, v1::TENSOR_NAME_WEIGHTS,
                                                    v1::TENSOR_NAME_LOG_SUM_EXP};

}  // namespace

void StreamAnswer::SetAnswer(std::shared_ptr<const Answer> answer, bool in_parts) {
  answer_ = std::move(answer);
  in_parts_ = in_parts;
}

void StreamAnswer::SetStatus(absl::Status status) {
  status_ = std::move(status);
  answer_ = nullptr;
}

bool StreamAnswer::next_is_last() const {
  if (answer_ == nullptr || !in_parts_) return true;
  return result_is_sent_ && !has_parts_after_next();
}

grpc::ByteBuffer StreamAnswer::Next(double encode_seconds) {
  if (answer_ == nullptr) return EncodeStatus(id_, status_);
  if (!in_parts_) return EncodeResponse(id_, answer_, encode_seconds);
  if (!std::exchange(result_is_sent_, true)) return EncodeResult(id_, *answer_, encode_seconds);

  const bool is_last = !has_parts_after_next();
  const v1::TensorName tensor = kTensors[static_cast<std::size_t>(tensor_)];
  const std::int64_t left_bytes = BufferOf(*answer_, tensor).size_bytes() - offset_bytes_;
  const std::int64_t size_bytes = std::min(left_bytes, kAnswerPartBytes);
  grpc::ByteBuffer message = EncodePart(id_, answer_, tensor, offset_bytes_, size_bytes, is_last);
  offset_bytes_ += size_bytes;
  while (!is_last && offset_bytes_ == BufferOf(*answer_, kTensors[static_cast<std::size_t>(tensor_)]).size_bytes()) {
    ++tensor_;
    offset_bytes_ = 0;
  }
  return message;
}

bool StreamAnswer::has_parts_after_next() const {
  const auto size_bytes = [this](std::size_t tensor) { return BufferOf(*answer_, kTensors[tensor]).size_bytes(); };
  const auto current = static_cast<std::size_t>(tensor_);
  if (size_bytes(current) - offset_bytes_ > kAnswerPartBytes) return true;
  for (std::size_t later = current + 1; later < kTensors.size(); ++later) {
    if (size_bytes(later) > 0) return true;
  }
  return false;
}

}  // namespace attnd::server::attnd_v1

#include "server/attnd_v1/stream_answer.h"

#include <algorithm>
#include <utility>

#include "server/attnd_v1/encode.h"

namespace attnd::server::attnd_v1 {

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
  const std::int64_t left_bytes = answer_->tensors[tensor_].size_bytes() - offset_bytes_;
  const std::int64_t size_bytes = std::min(left_bytes, kAnswerPartBytes);
  grpc::ByteBuffer message = EncodePart(id_, answer_, tensor_, offset_bytes_, size_bytes, is_last);
  offset_bytes_ += size_bytes;
  if (const std::optional<core::Output> next = NextTensor(); next.has_value() && size_bytes == left_bytes) {
    tensor_ = *next;
    offset_bytes_ = 0;
  }
  return message;
}

bool StreamAnswer::has_parts_after_next() const {
  return answer_->tensors[tensor_].size_bytes() - offset_bytes_ > kAnswerPartBytes || NextTensor().has_value();
}

std::optional<core::Output> StreamAnswer::NextTensor() const {
  const auto found = std::ranges::find_if(core::kOutputs, [this](core::Output output) {
    return output > tensor_ && answer_->tensors[output].size_bytes() > 0;
  });
  if (found == core::kOutputs.end()) return std::nullopt;
  return *found;
}

}  // namespace attnd::server::attnd_v1

#include "server/attnd_v1/arriving_tensors.h"

#include <absl/log/check.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <optional>

#include "server/attnd_v1/tensor_names.h"

namespace attnd::server::attnd_v1 {
namespace {

constexpr core::PerInput<absl::string_view> kNames = {
    {"query", "key", "value", "mask", "bias", "query_segment_ids", "key_segment_ids", "block_mask"}};

}  // namespace

ArrivingTensors::ArrivingTensors(const core::ProblemDescription& description, const InputMemory& memory) {
  for (const core::Input input : core::kInputs) {
    tensors_[input] = {.data = memory[input], .size_bytes = description.size_bytes[input]};
  }
}

absl::StatusOr<std::byte*> ArrivingTensors::Place(v1::TensorName tensor, std::int64_t offset_bytes,
                                                  std::int64_t size_bytes) const {
  const std::optional<core::Input> input = FromProto(tensor);
  if (!input.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("part.tensor: ", v1::TensorName_Name(tensor), " found, a tensor of the request expected"));
  }
  const absl::string_view name = kNames[*input];
  const Tensor& into = tensors_[*input];
  if (size_bytes == 0) return absl::InvalidArgumentError("part.data: 0 bytes found, at least 1 expected");
  if (offset_bytes != into.arrived_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("part.offset_bytes: ", offset_bytes, " found, ", into.arrived_bytes,
                                                   " expected, where the next part of ", name, " begins"));
  }
  const std::int64_t missing_bytes = into.size_bytes - into.arrived_bytes;
  if (size_bytes > missing_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("part.data: ", size_bytes, " bytes found, at most ", missing_bytes,
                                                   " expected, which complete the ", into.size_bytes, " of ", name));
  }
  return into.data + into.arrived_bytes;
}

void ArrivingTensors::Add(v1::TensorName tensor, std::int64_t size_bytes) {
  const std::optional<core::Input> input = FromProto(tensor);
  DCHECK(input.has_value());
  tensors_[*input].arrived_bytes += size_bytes;
}

bool ArrivingTensors::is_complete() const { return std::ranges::all_of(tensors_, IsWhole); }

absl::Status ArrivingTensors::Incomplete() const {
  const auto found = std::ranges::find_if_not(core::kInputs, [this](auto input) { return IsWhole(tensors_[input]); });
  DCHECK(found != core::kInputs.end());
  const Tensor& tensor = tensors_[*found];
  return absl::InvalidArgumentError(absl::StrCat("part: ", tensor.arrived_bytes, " bytes of ", kNames[*found],
                                                 " found, ", tensor.size_bytes,
                                                 " expected before the stream is half-closed"));
}

}  // namespace attnd::server::attnd_v1

#include "server/attnd_v1/arriving_tensors.h"

#include <absl/log/check.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <algorithm>

namespace attnd::server::attnd_v1 {
namespace {

constexpr std::array<absl::string_view, 4> kNames = {"query", "key", "value", "mask"};

std::size_t IndexOf(v1::TensorName tensor) { return static_cast<std::size_t>(tensor - v1::TENSOR_NAME_QUERY); }

}  // namespace

ArrivingTensors::ArrivingTensors(const core::ProblemDescription& description, const InputMemory& memory)
    : tensors_{{{.data = memory.query, .size_bytes = description.query_size_bytes},
                {.data = memory.key, .size_bytes = description.key_size_bytes},
                {.data = memory.value, .size_bytes = description.value_size_bytes},
                {.data = memory.mask, .size_bytes = description.mask_size_bytes.value_or(0)}}} {}

absl::StatusOr<std::byte*> ArrivingTensors::Place(v1::TensorName tensor, std::int64_t offset_bytes,
                                                  std::int64_t size_bytes) const {
  if (tensor < v1::TENSOR_NAME_QUERY || tensor > v1::TENSOR_NAME_MASK) {
    return absl::InvalidArgumentError(
        absl::StrCat("part.tensor: ", v1::TensorName_Name(tensor), " found, a tensor of the request expected"));
  }
  const absl::string_view name = kNames[IndexOf(tensor)];
  const Tensor& into = tensors_[IndexOf(tensor)];
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
  tensors_[IndexOf(tensor)].arrived_bytes += size_bytes;
}

bool ArrivingTensors::is_complete() const { return std::all_of(tensors_.begin(), tensors_.end(), IsWhole); }

absl::Status ArrivingTensors::Incomplete() const {
  const auto found = std::find_if_not(tensors_.begin(), tensors_.end(), IsWhole);
  DCHECK(found != tensors_.end());
  return absl::InvalidArgumentError(absl::StrCat("part: ", found->arrived_bytes, " bytes of ",
                                                 kNames[static_cast<std::size_t>(found - tensors_.begin())], " found, ",
                                                 found->size_bytes, " expected before the stream is half-closed"));
}

}  // namespace attnd::server::attnd_v1

#include "server/tensor_memory.h"

#include <absl/strings/str_cat.h>

namespace attnd::server {

absl::StatusOr<TensorMemory> TensorMemory::Allocate(std::int64_t size_bytes, KeptMemory& kept) {
  TensorMemory memory;
  if (size_bytes == 0) return memory;
  memory.data_ = kept.Take(static_cast<std::size_t>(size_bytes));
  if (memory.data_ == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("memory: ", size_bytes, " bytes for a tensor could not be had"));
  }
  memory.size_bytes_ = size_bytes;
  return memory;
}

absl::Status AllocateInto(TensorMemory& memory, std::int64_t size_bytes, KeptMemory& kept) {
  absl::StatusOr<TensorMemory> allocated = TensorMemory::Allocate(size_bytes, kept);
  if (!allocated.ok()) return allocated.status();
  memory = *std::move(allocated);
  return absl::OkStatus();
}

}  // namespace attnd::server

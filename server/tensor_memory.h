// Memory that a call's tensors lie in.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>

#include "server/kept_memory.h"

namespace attnd::server {

// Owns bytes that begin where the core likes tensors to begin, and are not initialised. Moves, does not copy.
class TensorMemory {
 public:
  // Without bytes.
  TensorMemory() = default;

  // RESOURCE_EXHAUSTED where the memory cannot be had. 0 bytes give empty memory, whose data() is null.
  static absl::StatusOr<TensorMemory> Allocate(std::int64_t size_bytes, KeptMemory& kept);

  std::byte* data() const { return data_.get(); }
  std::int64_t size_bytes() const { return size_bytes_; }

 private:
  KeptMemory::Memory data_;
  std::int64_t size_bytes_ = 0;
};

// The same, in the place of what `memory` held.
absl::Status AllocateInto(TensorMemory& memory, std::int64_t size_bytes, KeptMemory& kept);

}  // namespace attnd::server

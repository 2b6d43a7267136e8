// Memory that tensors lie in.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace attnd::server {

// Owns bytes that begin at a multiple of kAlignmentBytes and are not initialised. Moves, does not copy.
class AlignedBuffer {
 public:
  // A cache line, and the widest vector register.
  static constexpr std::size_t kAlignmentBytes = 64;

  // Without bytes.
  AlignedBuffer() = default;

  // RESOURCE_EXHAUSTED where the memory cannot be had. 0 bytes give an empty buffer, whose data() is null.
  static absl::StatusOr<AlignedBuffer> Allocate(std::int64_t size_bytes);

  std::byte* data() const { return data_.get(); }
  std::int64_t size_bytes() const { return size_bytes_; }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };

  std::unique_ptr<std::byte, Free> data_;
  std::int64_t size_bytes_ = 0;
};

}  // namespace attnd::server

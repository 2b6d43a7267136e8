// Memory aligned for vector and matrix units.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace attnd::core {

// A cache line, and the widest vector.
inline constexpr std::size_t kAlignmentBytes = 64;

// From this size on memory is asked for in pages of 2 MiB, where the kernel has them: it comes fresh from the kernel
// then (malloc's own threshold is at most as large), and a fault for each of its small pages takes longer than filling
// them.
inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
inline constexpr std::size_t kLargeBufferBytes = 2 * kHugePageBytes;

struct FreeAligned {
  void operator()(std::byte* memory) const { std::free(memory); }
};

using AlignedBuffer = std::unique_ptr<std::byte[], FreeAligned>;

// Uninitialised; null where the memory cannot be had.
inline AlignedBuffer AllocateAligned(std::size_t size_bytes) {
  const bool is_large = size_bytes >= kLargeBufferBytes;
  const std::size_t alignment_bytes = is_large ? kHugePageBytes : kAlignmentBytes;
  const std::size_t rounded = (size_bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
  AlignedBuffer buffer(static_cast<std::byte*>(std::aligned_alloc(alignment_bytes, rounded)));
  // Only a wish: small pages do as well.
  if (is_large && buffer != nullptr) static_cast<void>(madvise(buffer.get(), rounded, MADV_HUGEPAGE));
  return buffer;
}

}  // namespace attnd::core

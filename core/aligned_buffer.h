// Memory aligned for vector and matrix units.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

namespace attnd::core {

// A cache line, and the widest vector.
inline constexpr std::size_t kAlignmentBytes = 64;

// From this size on memory is asked for in huge pages, where the kernel has them: it comes fresh from the kernel then
// (malloc's own threshold is at most as large), and a fault for each of its small pages takes longer than filling them.
inline constexpr std::size_t kLargeBufferBytes = std::size_t{4} << 20;

struct FreeAligned {
  void operator()(std::byte* memory) const { std::free(memory); }
};

using AlignedBuffer = std::unique_ptr<std::byte[], FreeAligned>;

// Only a wish: small pages do as well.
inline void WishForHugePages(std::byte* memory, std::size_t size_bytes) {
  constexpr std::size_t kPageBytes = 4096;
  const std::size_t skipped_bytes = -reinterpret_cast<std::uintptr_t>(memory) % kPageBytes;
  static_cast<void>(madvise(memory + skipped_bytes, size_bytes - skipped_bytes, MADV_HUGEPAGE));
}

// Uninitialised; null where the memory cannot be had.
inline AlignedBuffer AllocateAligned(std::size_t size_bytes) {
  const std::size_t rounded = (size_bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
  AlignedBuffer buffer(static_cast<std::byte*>(std::aligned_alloc(kAlignmentBytes, rounded)));
  if (buffer != nullptr && rounded >= kLargeBufferBytes) WishForHugePages(buffer.get(), rounded);
  return buffer;
}

}  // namespace attnd::core

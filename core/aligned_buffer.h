// Memory aligned for vector and matrix units.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace attnd::core {

// A cache line, and the widest vector.
inline constexpr std::size_t kAlignmentBytes = 64;

struct FreeAligned {
  void operator()(std::byte* memory) const { std::free(memory); }
};

using AlignedBuffer = std::unique_ptr<std::byte[], FreeAligned>;

// Uninitialised; null where the memory cannot be had.
inline AlignedBuffer AllocateAligned(std::size_t size_bytes) {
  const std::size_t rounded = (size_bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
  return AlignedBuffer(static_cast<std::byte*>(std::aligned_alloc(kAlignmentBytes, rounded)));
}

}  // namespace attnd::core

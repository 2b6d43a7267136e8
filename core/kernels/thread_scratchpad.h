// Memory in which oneDNN keeps intermediate results.
#pragma once

#include <cstddef>
#include <vector>

namespace attnd::core::kernels {

// The calling thread's; its content lasts until the next call on the thread. Grows to the largest that was asked for,
// some KiB.
inline void* ThreadScratchpad(std::size_t size_bytes) {
  thread_local std::vector<std::byte> scratchpad;
  if (scratchpad.size() < size_bytes) scratchpad.resize(size_bytes);
  return scratchpad.data();
}

}  // namespace attnd::core::kernels

// How memory is asked for what will be read. It is slow to answer, and the machine does not ask by itself past the end
// of a page, nor for many rows side by side.
#pragma once

#include <cstdint>

namespace attnd::core::kernels {

inline constexpr std::int64_t kLineBytes = 64;
// How far ahead of what is read in order lines are asked for; 1 and 8 KiB are slower (tests/bench/README.md).
inline constexpr std::int64_t kReadAheadBytes = 4096;

}  // namespace attnd::core::kernels

// What malloc_hook.cpp counts, in a file that the hooked process and the one that watches it both map.
#pragma once

#include <atomic>
#include <cstdint>

namespace attnd::test {

// The environment variable that names the file, which must be as large as MallocCounters and zeroed. Without it nothing
// is counted.
inline constexpr char kMallocCountersVariable[] = "ATTND_TEST_MALLOC_COUNTERS";

// Blocks of at least this size are counted apart: tensors, that is. gRPC receives into blocks of 64 KiB.
inline constexpr std::int64_t kLargeBlockBytes = 1 << 20;

struct MallocCounter {
  // Bytes that are allocated, and the most that were since the watcher last set it.
  std::atomic<std::int64_t> current_bytes;
  std::atomic<std::int64_t> peak_bytes;
};

struct MallocCounters {
  MallocCounter large;
  MallocCounter small;
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free, "else two processes could not share it");

}  // namespace attnd::test

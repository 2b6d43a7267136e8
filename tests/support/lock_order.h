// How a lock's order can outlive it.
#pragma once

#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <memory>
#include <new>

namespace attnd::test {

// Locks a mutex before another one, and, when it is gone, a new one in the same memory after it. Ends the process where
// abseil takes that for a cycle.
inline void ReverseTheOrderInTheSameMemory() {
  alignas(absl::Mutex) std::byte memory[sizeof(absl::Mutex)];
  absl::Mutex other;
  auto* const first = new (memory) absl::Mutex;
  {
    absl::MutexLock outer(first);
    absl::MutexLock inner(&other);
  }
  std::destroy_at(first);
  auto* const second = new (memory) absl::Mutex;
  {
    absl::MutexLock outer(&other);
    absl::MutexLock inner(second);
  }
  std::destroy_at(second);
}

}  // namespace attnd::test

// Mutexes come and go with calls, each where an older one was: that must not end the process of a client.
#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <new>

#include "client/cpp/client.h"

namespace attnd {
namespace {

TEST(LockOrder, OfMutexesThatAreGoneDoesNotBindNewOnes) {
  const Client client("127.0.0.1:1");
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

}  // namespace
}  // namespace attnd

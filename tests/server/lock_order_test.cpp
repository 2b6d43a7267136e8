// Mutexes come and go with requests, each where an older one was: that must not end the process of a server.
#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <new>

#include "tests/server/running_server.h"

namespace attnd::test {
namespace {

TEST(LockOrder, OfMutexesThatAreGoneDoesNotBindNewOnes) {
  RunningServer server;
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
  EXPECT_NE(server.address(), "");
}

}  // namespace
}  // namespace attnd::test

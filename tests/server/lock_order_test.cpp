// Mutexes come and go with requests, each where an older one was: that must not end the process of a server.
#include "tests/support/lock_order.h"

#include <gtest/gtest.h>

#include "tests/server/running_server.h"

namespace attnd::test {
namespace {

TEST(LockOrder, OfMutexesThatAreGoneDoesNotBindNewOnes) {
  RunningServer server;
  ReverseTheOrderInTheSameMemory();
  EXPECT_NE(server.address(), "");
}

}  // namespace
}  // namespace attnd::test

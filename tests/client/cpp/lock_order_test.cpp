// Mutexes come and go with calls, each where an older one was: that must not end the process of a client.
#include "tests/support/lock_order.h"

#include <gtest/gtest.h>

#include "client/cpp/client.h"

namespace attnd {
namespace {

TEST(LockOrder, OfMutexesThatAreGoneDoesNotBindNewOnes) {
  const Client client("127.0.0.1:1");
  test::ReverseTheOrderInTheSameMemory();
}

}  // namespace
}  // namespace attnd

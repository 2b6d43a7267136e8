#include "tests/support/seed.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace attnd::test {
namespace {

std::uint64_t Seed() {
  static const std::uint64_t seed = [] {
    const char* given = std::getenv("ATTND_TEST_SEED");
    const std::uint64_t chosen = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261124;
    std::printf("ATTND_TEST_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    return chosen;
  }();
  return seed;
}

}  // namespace

Random SeededRandom() { return Random(Seed()); }

}  // namespace attnd::test

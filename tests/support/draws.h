// What tests draw at random.
#pragma once

#include <cstdint>
#include <random>

#include "tests/support/attention_case.h"

namespace attnd::test {

// Both ends included.
inline std::int64_t Between(std::int64_t least, std::int64_t largest, Random& random) {
  return std::uniform_int_distribution<std::int64_t>(least, largest)(random);
}

inline bool Chance(double probability, Random& random) { return std::bernoulli_distribution(probability)(random); }

// Mostly few; with the probability of `many` past several tiles of queries, or past one of keys.
inline std::int64_t QueryRows(double many, Random& random) {
  return Chance(many, random) ? Between(100, 300, random) : Between(1, 90, random);
}
inline std::int64_t Keys(double many, Random& random) {
  return Chance(many, random) ? Between(300, 1100, random) : Between(1, 90, random);
}

}  // namespace attnd::test

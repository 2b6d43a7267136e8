#include "core/top_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "core/plan.h"

namespace attnd::core {
namespace {

struct Found {
  std::vector<std::int32_t> keys;
  std::vector<float> weights;
};

// By tiles of which all is visible.
Found Find(const std::vector<float>& weights, std::int64_t k) {
  std::vector<std::uint64_t> candidates(static_cast<std::size_t>(TopKeys::Candidates(k)));
  TopKeys top_keys;
  top_keys.Start(candidates.data(), k);
  for (std::int64_t begin = 0; begin < std::ssize(weights); begin += kKeyTileKeys) {
    const std::int64_t size = std::min(kKeyTileKeys, std::ssize(weights) - begin);
    top_keys.Offer(weights.data() + begin, begin, {.begin = 0, .end = size}, nullptr);
  }
  Found found{std::vector<std::int32_t>(static_cast<std::size_t>(k)), std::vector<float>(static_cast<std::size_t>(k))};
  top_keys.Finish(found.keys.data(), found.weights.data());
  return found;
}

// The definition: stable, so that of equal weights the lower key comes first.
void ExpectLargest(const std::vector<float>& weights, std::int64_t k) {
  std::vector<std::int32_t> keys(weights.size());
  std::iota(keys.begin(), keys.end(), 0);
  const auto weight = [&](std::int32_t key) { return weights[static_cast<std::size_t>(key)]; };
  std::ranges::stable_sort(keys, [&](std::int32_t left, std::int32_t right) {
    return weight(left) > weight(right) || (std::isnan(weight(left)) && !std::isnan(weight(right)));
  });
  keys.resize(static_cast<std::size_t>(k), -1);
  EXPECT_EQ(Find(weights, k).keys, keys) << k << " of " << weights.size();
}

TEST(TopKeysTest, AreTheLargestOfAnyNumber) {
  std::mt19937_64 random(20261124);
  std::uniform_real_distribution<float> any(0, 1);
  for (const std::int64_t k : {1, 2, 3, 16, 255, 256}) {
    for (const std::size_t size : {1, 2, 100, 512, 513, 5000}) {
      std::vector<float> weights(size);
      for (float& weight : weights) weight = any(random);
      ExpectLargest(weights, k);
      for (float& weight : weights) weight = std::floor(weight * 4) / 4;  // many equal ones, and zeros
      ExpectLargest(weights, k);
      std::ranges::sort(weights);
      ExpectLargest(weights, k);
      std::ranges::reverse(weights);
      ExpectLargest(weights, k);
    }
  }
}

// Whatever bits and sign a NaN has.
TEST(TopKeysTest, NanCountsAsTheLargest) {
  std::vector<float> weights(600, 0.25F);
  weights[3] = 0.5F;
  weights[300] = -std::numeric_limits<float>::quiet_NaN();
  weights[599] = std::numeric_limits<float>::quiet_NaN();
  ExpectLargest(weights, 1);
  ExpectLargest(weights, 2);
  ExpectLargest(weights, 5);
}

TEST(TopKeysTest, AreOfVisibleKeysAlone) {
  const std::vector<float> weights = {0, 0.25F, 0, 0.75F, 0, 0};
  const std::vector<std::uint8_t> bytes = {1, 1, 0, 1, 1, 1};
  std::vector<std::uint64_t> candidates(static_cast<std::size_t>(TopKeys::Candidates(5)));
  TopKeys top_keys;
  top_keys.Start(candidates.data(), 5);
  top_keys.Offer(weights.data(), 256, {.begin = 1, .end = 5}, bytes.data());
  top_keys.Offer(weights.data(), 512, {.begin = 0, .end = 0}, nullptr);
  std::vector<std::int32_t> keys(5);
  std::vector<float> of_keys(5, 1);
  top_keys.Finish(keys.data(), of_keys.data());
  EXPECT_EQ(keys, (std::vector<std::int32_t>{259, 257, 260, -1, -1}));
  EXPECT_EQ(of_keys, (std::vector<float>{0.75F, 0.25F, 0, 0, 0}));
}

}  // namespace
}  // namespace attnd::core

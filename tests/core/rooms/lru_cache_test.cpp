#include "core/kernels/lru_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace attnd::core::kernels {
namespace {

class LruCacheTest : public testing::Test {
 protected:
  int Get(int key) {
    return *cache_.GetOrMake(key, [&] {
      ++made_;
      return std::make_shared<int>(key * 10);
    });
  }

  LruCache<int, int> cache_{2};
  int made_ = 0;
};

TEST_F(LruCacheTest, MakesAValueOnce) {
  EXPECT_EQ(Get(1), 10);
  EXPECT_EQ(Get(1), 10);
  EXPECT_EQ(made_, 1);
}

TEST_F(LruCacheTest, ForgetsWhatWasNotUsedForLongest) {
  Get(1);
  Get(2);
  Get(1);
  Get(3);  // forgets 2
  EXPECT_EQ(made_, 3);
  Get(1);
  Get(3);
  EXPECT_EQ(made_, 3);
  Get(2);
  EXPECT_EQ(made_, 4);
}

TEST_F(LruCacheTest, AForgottenValueLivesOnWithItsUser) {
  const std::shared_ptr<const int> kept = cache_.GetOrMake(1, [] { return std::make_shared<int>(10); });
  Get(2);
  Get(3);
  EXPECT_EQ(*kept, 10);
  EXPECT_EQ(kept.use_count(), 1);
}

TEST(LruCacheThreadsTest, EachGetsTheValueOfItsKeyWhileOthersForgetIt) {
  constexpr int kThreads = 4;
  constexpr int kGets = 3000;
  constexpr int kKeys = 7;
  LruCache<int, std::vector<int>> cache(3);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::shared_ptr<const std::vector<int>> kept;
      int kept_key = 0;
      for (int n = 0; n < kGets; ++n) {
        const int key = (n * (thread + 1)) % kKeys;
        const auto value = cache.GetOrMake(key, [&] { return std::make_shared<std::vector<int>>(10, key); });
        if (*value != std::vector<int>(10, key)) ++wrong;
        if (kept != nullptr && *kept != std::vector<int>(10, kept_key)) ++wrong;
        if (n % 5 == 0) {
          kept = value;
          kept_key = key;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace attnd::core::kernels

#include "core/kernels/lru_cache.h"

#include <gtest/gtest.h>

#include <memory>

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

}  // namespace
}  // namespace attnd::core::kernels

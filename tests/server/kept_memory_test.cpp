#include "server/kept_memory.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <utility>

namespace attnd::server {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

// Takes and gives back, and says where that was.
const std::byte* Use(KeptMemory& kept, std::size_t size_bytes) {
  const KeptMemory::Memory memory = kept.Take(size_bytes);
  std::memset(memory.get(), 1, size_bytes);
  return memory.get();
}

TEST(KeptMemory, IsTakenAgainForWhatHasHardlyFewerBytes) {
  KeptMemory kept(64 * kMiB);
  const std::byte* const first = Use(kept, 9 * kMiB);
  EXPECT_EQ(kept.kept_bytes(), 9 * kMiB);
  EXPECT_EQ(Use(kept, 8 * kMiB), first);
  EXPECT_EQ(Use(kept, 9 * kMiB), first);
  EXPECT_EQ(kept.kept_bytes(), 9 * kMiB);
  Use(kept, 9 * kMiB + 1);
  EXPECT_EQ(kept.kept_bytes(), 18 * kMiB + 1);
  Use(kept, 4 * kMiB);
  EXPECT_EQ(kept.kept_bytes(), 22 * kMiB + 1);
}

TEST(KeptMemory, IsNotKeptWhileItIsInUse) {
  KeptMemory kept(64 * kMiB);
  KeptMemory::Memory first = kept.Take(2 * kMiB);
  const KeptMemory::Memory second = kept.Take(2 * kMiB);
  EXPECT_NE(first.get(), second.get());
  EXPECT_EQ(kept.kept_bytes(), 0);
  first.reset();
  EXPECT_EQ(kept.kept_bytes(), 2 * kMiB);
}

TEST(KeptMemory, IsNeverMoreThanItMayBeAndLetsTheOldestGo) {
  KeptMemory kept(10 * kMiB);
  Use(kept, 2 * kMiB);
  const std::byte* const newer = Use(kept, 4 * kMiB);
  Use(kept, 6 * kMiB);
  EXPECT_EQ(kept.kept_bytes(), 10 * kMiB);
  EXPECT_EQ(Use(kept, 4 * kMiB), newer);
  Use(kept, 11 * kMiB);
  EXPECT_EQ(kept.kept_bytes(), 10 * kMiB);
}

TEST(KeptMemory, IsNotForSmallTensors) {
  KeptMemory kept(64 * kMiB);
  Use(kept, KeptMemory::kLeastBytes - 1);
  EXPECT_EQ(kept.kept_bytes(), 0);
}

}  // namespace
}  // namespace attnd::server

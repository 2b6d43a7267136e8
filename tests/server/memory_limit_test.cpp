#include "server/memory_limit.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace attnd::server {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;

// A machine of 1 GiB.
class MemoryLimitTest : public ::testing::Test {
 protected:
  MemoryLimitTest() {
    root_.Write("proc/meminfo", "MemTotal:        1048576 kB\nMemFree:          1000 kB\nHugePages_Total:       0\n");
  }
  std::int64_t Available() const { return AvailableMemoryBytes(root_.path()); }

  test::TemporaryFolder root_;
};

TEST_F(MemoryLimitTest, IsTheMachinesWithoutGroups) {
  EXPECT_EQ(Available(), 1024 * kMebibyte);
  root_.Write("proc/self/cgroup", "0::/\n");
  EXPECT_EQ(Available(), 1024 * kMebibyte);
}

TEST_F(MemoryLimitTest, IsTheSmallestOfAVersion2GroupAndItsParents) {
  root_.Write("proc/self/cgroup", "0::/pods/one/server\n");
  root_.Write("sys/fs/cgroup/pods/one/server/memory.max", "max\n");
  EXPECT_EQ(Available(), 1024 * kMebibyte);
  root_.Write("sys/fs/cgroup/pods/memory.max", "536870912\n");
  EXPECT_EQ(Available(), 512 * kMebibyte);
  root_.Write("sys/fs/cgroup/pods/one/memory.max", "268435456\n");
  EXPECT_EQ(Available(), 256 * kMebibyte);
  root_.Write("sys/fs/cgroup/pods/one/server/memory.max", "134217728\n");
  EXPECT_EQ(Available(), 128 * kMebibyte);
}

// As a container sees its own group.
TEST_F(MemoryLimitTest, IsThatOfTheRootGroup) {
  root_.Write("proc/self/cgroup", "0::/\n");
  root_.Write("sys/fs/cgroup/memory.max", "67108864\n");
  EXPECT_EQ(Available(), 64 * kMebibyte);
}

TEST_F(MemoryLimitTest, IsThatOfAVersion1Group) {
  root_.Write("proc/self/cgroup", "12:cpu,cpuacct:/a\n7:memory:/b\n0::/c\n");
  root_.Write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576\n");  // of another controller's group
  root_.Write("sys/fs/cgroup/memory/b/memory.limit_in_bytes", "33554432\n");
  EXPECT_EQ(Available(), 32 * kMebibyte);
}

// As version 1 says "none".
TEST_F(MemoryLimitTest, IsTheMachinesWhereTheGroupMayHaveMore) {
  root_.Write("proc/self/cgroup", "7:memory:/b\n");
  root_.Write("sys/fs/cgroup/memory/b/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Available(), 1024 * kMebibyte);
}

TEST_F(MemoryLimitTest, IgnoresWhatIsNoLimit) {
  root_.Write("proc/self/cgroup", "0::/a\nnonsense\n");
  for (const char* text : {"", "0", "-5", "lots"}) {
    root_.Write("sys/fs/cgroup/a/memory.max", text);
    EXPECT_EQ(Available(), 1024 * kMebibyte) << text;
  }
}

TEST(MemoryLimit, IsSomethingHere) { EXPECT_GT(AvailableMemoryBytes(), 0); }

}  // namespace
}  // namespace attnd::server

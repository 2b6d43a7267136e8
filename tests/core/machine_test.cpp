// What the core finds out about the machine: CPUs by affinity and quota, instruction sets, versions.
#include "core/machine.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <string>

#include "tests/support/temporary_folder.h"

namespace attnd::core {
namespace {

// Its folder stands for the root of the file system.
class QuotaTest : public ::testing::Test {
 protected:
  const test::TemporaryFolder folder_;
  const std::string root_ = folder_.path();
};

TEST_F(QuotaTest, IsNoneWithoutControlGroups) { EXPECT_EQ(QuotaCpus(root_), std::nullopt); }

TEST_F(QuotaTest, OfVersion2IsRoundedUp) {
  folder_.Write("proc/self/cgroup", "0::/pod/container\n");
  folder_.Write("sys/fs/cgroup/pod/container/cpu.max", "250000 100000\n");
  EXPECT_EQ(QuotaCpus(root_), 3);
}

TEST_F(QuotaTest, OfVersion2MayBeNone) {
  folder_.Write("proc/self/cgroup", "0::/pod\n");
  folder_.Write("sys/fs/cgroup/pod/cpu.max", "max 100000\n");
  EXPECT_EQ(QuotaCpus(root_), std::nullopt);
}

TEST_F(QuotaTest, OfAnOuterGroupBoundsTheInner) {
  folder_.Write("proc/self/cgroup", "0::/pod/container\n");
  folder_.Write("sys/fs/cgroup/pod/container/cpu.max", "max 100000\n");
  folder_.Write("sys/fs/cgroup/pod/cpu.max", "50000 100000\n");
  EXPECT_EQ(QuotaCpus(root_), 1);
}

TEST_F(QuotaTest, OfANamespacesRootGroup) {
  folder_.Write("proc/self/cgroup", "0::/\n");
  folder_.Write("sys/fs/cgroup/cpu.max", "400000 100000\n");
  EXPECT_EQ(QuotaCpus(root_), 4);
}

TEST_F(QuotaTest, OfVersion1) {
  folder_.Write("proc/self/cgroup", "5:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/job\n");
  folder_.Write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "150000\n");
  folder_.Write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(QuotaCpus(root_), 2);
}

TEST_F(QuotaTest, OfVersion1BelowZeroIsNone) {
  folder_.Write("proc/self/cgroup", "4:cpu,cpuacct:/job\n");
  folder_.Write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
  folder_.Write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(QuotaCpus(root_), std::nullopt);
}

TEST_F(QuotaTest, ThatCannotBeReadIsNone) {
  for (const char* text : {"", "100000", "abc 100000", "100000 0", "-5 100000", "1 2 3"}) {
    folder_.Write("proc/self/cgroup", "0::/\ngarbage\n7\n");
    folder_.Write("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(QuotaCpus(root_), std::nullopt) << text;
  }
}

TEST(AvailableCpusTest, FollowTheAffinity) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  const int available = AvailableCpus();
  EXPECT_GE(available, 1);
  EXPECT_LE(available, CPU_COUNT(&all));

  cpu_set_t one;
  CPU_ZERO(&one);
  int cpu = 0;
  while (!CPU_ISSET(cpu, &all)) ++cpu;
  CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(AvailableCpus(), 1);
  EXPECT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
}

TEST(InstructionSetsTest, AreNamed) {
  EXPECT_FALSE(InstructionSetsFound().empty());
  EXPECT_FALSE(OnednnInstructionSet().empty());
  EXPECT_FALSE(VectorInstructionSet().empty());
  const std::string version = OnednnVersion();
  EXPECT_EQ(std::count(version.begin(), version.end(), '.'), 2) << version;
}

}  // namespace
}  // namespace attnd::core

#include "server/process_metrics.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <string>

#include "server/file_descriptors.h"

namespace attnd::server {
namespace {

std::map<std::string, double> Collect() {
  std::map<std::string, double> values;
  for (const prometheus::MetricFamily& family : ProcessMetrics().Collect()) {
    EXPECT_EQ(family.metric.size(), 1u) << family.name;
    const prometheus::ClientMetric& metric = family.metric.at(0);
    values[family.name] = family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
  }
  return values;
}

TEST(ProcessMetrics, TellOfThisProcess) {
  const std::map<std::string, double> values = Collect();
  EXPECT_EQ(values.size(), 7u);
  EXPECT_GE(values.at("process_cpu_seconds_total"), 0);
  EXPECT_GE(values.at("process_threads"), 1);
  EXPECT_GT(values.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(values.at("process_virtual_memory_bytes"), values.at("process_resident_memory_bytes"));
  rlimit limit = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(values.at("process_max_fds"), static_cast<double>(limit.rlim_cur));
  // Up to a second of difference: the machine's start is known in whole seconds.
  EXPECT_LE(values.at("process_start_time_seconds"), static_cast<double>(std::time(nullptr)) + 1);
  EXPECT_GT(values.at("process_start_time_seconds"), static_cast<double>(std::time(nullptr)) - 24 * 60 * 60);
}

TEST(ProcessMetrics, CountOpenFileDescriptors) {
  const int before = OpenFileDescriptors();
  ASSERT_GE(before, 3);
  const int opened = open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(OpenFileDescriptors(), before + 1);
  EXPECT_EQ(Collect().at("process_open_fds"), before + 1);
  close(opened);
  EXPECT_EQ(OpenFileDescriptors(), before);
}

TEST(ProcessMetrics, CountTheTimeThatWasSpent) {
  const double before = Collect().at("process_cpu_seconds_total");
  // Until the clock of the process, which is finer, has gone on by more than a tick of the other.
  const std::clock_t end = std::clock() + CLOCKS_PER_SEC / 20;
  while (std::clock() < end) {
  }
  EXPECT_GT(Collect().at("process_cpu_seconds_total"), before);
}

}  // namespace
}  // namespace attnd::server

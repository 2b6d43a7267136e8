#include "server/process_metrics.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "server/file_descriptors.h"

namespace attnd::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

std::string ReadFile(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The fields of /proc/self/stat by the numbers that proc(5) gives them, from the third on.
class ProcessStat {
 public:
  ProcessStat() : text_(ReadFile("/proc/self/stat")) {
    // The second is the program's name in parentheses, which may hold spaces and parentheses.
    const std::size_t name_end = text_.rfind(") ");
    if (name_end != std::string::npos) fields_ = absl::StrSplit(absl::string_view(text_).substr(name_end + 2), ' ');
  }

  std::optional<double> Field(std::size_t number) const {
    double value = 0;
    if (number - 3 >= fields_.size() || !absl::SimpleAtod(fields_[number - 3], &value)) return std::nullopt;
    return value;
  }

 private:
  std::string text_;
  std::vector<absl::string_view> fields_;
};

// Seconds since 1970 at which the machine started.
std::optional<double> BootTimeSeconds() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    double seconds = 0;
    if (line.starts_with("btime ") && absl::SimpleAtod(line.substr(6), &seconds)) return seconds;
  }
  return std::nullopt;
}

void Add(std::vector<MetricFamily>& families, const char* name, const char* help, MetricType type,
         std::optional<double> value) {
  if (!value.has_value()) return;
  ClientMetric metric;
  if (type == MetricType::Counter) {
    metric.counter.value = *value;
  } else {
    metric.gauge.value = *value;
  }
  families.push_back({name, help, type, {metric}});
}

std::optional<double> Times(std::optional<double> value, double factor) {
  if (!value.has_value()) return std::nullopt;
  return *value * factor;
}

std::optional<double> Sum(std::optional<double> a, std::optional<double> b) {
  if (!a.has_value() || !b.has_value()) return std::nullopt;
  return *a + *b;
}

}  // namespace

std::vector<MetricFamily> ProcessMetrics::Collect() const {
  const ProcessStat stat;
  const double second_of_tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  const int open_fds = OpenFileDescriptors();
  rlimit descriptors = {};
  const bool has_limit = getrlimit(RLIMIT_NOFILE, &descriptors) == 0;

  std::vector<MetricFamily> families;
  Add(families, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", MetricType::Counter,
      Times(Sum(stat.Field(14), stat.Field(15)), second_of_tick));
  Add(families, "process_threads", "Number of threads.", MetricType::Gauge, stat.Field(20));
  Add(families, "process_start_time_seconds", "Start time of the process in seconds since 1970.", MetricType::Gauge,
      Sum(BootTimeSeconds(), Times(stat.Field(22), second_of_tick)));
  Add(families, "process_virtual_memory_bytes", "Virtual memory size in bytes.", MetricType::Gauge, stat.Field(23));
  Add(families, "process_resident_memory_bytes", "Resident memory size in bytes.", MetricType::Gauge,
      Times(stat.Field(24), static_cast<double>(sysconf(_SC_PAGESIZE))));
  Add(families, "process_open_fds", "Number of open file descriptors.", MetricType::Gauge,
      open_fds < 0 ? std::nullopt : std::optional<double>(open_fds));
  Add(families, "process_max_fds", "Maximum number of open file descriptors.", MetricType::Gauge,
      has_limit ? std::optional<double>(static_cast<double>(descriptors.rlim_cur)) : std::nullopt);
  return families;
}

}  // namespace attnd::server

#include "client/cli/bench_recorder.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace attnd::cli {
namespace {

void Add(const Report& report, ServerPhases& sums) {
  sums.decode += report.decode_seconds;
  sums.queue += report.queue_seconds;
  sums.compute += report.compute_seconds;
  sums.encode += report.encode_seconds;
}

ServerPhases MeansOf(const ServerPhases& sums, std::int64_t count) {
  if (count == 0) return {};
  const auto divisor = static_cast<double>(count);
  return {.decode = sums.decode / divisor,
          .queue = sums.queue / divisor,
          .compute = sums.compute / divisor,
          .encode = sums.encode / divisor};
}

}  // namespace

LatencySummary Summarize(std::vector<double> latencies_seconds) {
  if (latencies_seconds.empty()) return {};
  std::sort(latencies_seconds.begin(), latencies_seconds.end());
  const auto count = static_cast<double>(latencies_seconds.size());
  const auto at_percent = [&](int percent) {
    return latencies_seconds[static_cast<std::size_t>(std::ceil(count * percent / 100)) - 1];
  };
  return {.count = static_cast<std::int64_t>(latencies_seconds.size()),
          .mean = std::accumulate(latencies_seconds.begin(), latencies_seconds.end(), 0.0) / count,
          .p50 = at_percent(50),
          .p90 = at_percent(90),
          .p99 = at_percent(99),
          .max = latencies_seconds.back()};
}

std::int64_t LoadRecord::failed() const {
  std::int64_t sum = 0;
  for (const auto& [code, of_code] : failures) sum += of_code.count;
  return sum;
}

void Recorder::Record(absl::Duration latency, const absl::StatusOr<Report>& result) {
  absl::MutexLock lock(&mutex_);
  if (result.ok()) {
    latencies_seconds_.push_back(absl::ToDoubleSeconds(latency));
    Add(*result, record_.server);
    record_.kernel = result->kernel;
    return;
  }
  Failures& of_code = record_.failures[result.status().code()];
  if (of_code.count++ == 0) of_code.first_text = std::string(result.status().message());
}

LoadRecord Recorder::Summary() const {
  LoadRecord record;
  std::vector<double> latencies_seconds;
  {
    absl::MutexLock lock(&mutex_);
    record = record_;
    latencies_seconds = latencies_seconds_;
  }
  record.latency = Summarize(std::move(latencies_seconds));
  record.server = MeansOf(record.server, record.latency.count);
  return record;
}

std::vector<double> Recorder::LatenciesFrom(std::size_t index) const {
  absl::MutexLock lock(&mutex_);
  return {latencies_seconds_.begin() + static_cast<std::ptrdiff_t>(index), latencies_seconds_.end()};
}

std::int64_t Recorder::failed() const {
  absl::MutexLock lock(&mutex_);
  return record_.failed();
}

}  // namespace attnd::cli

// What `attnctl bench` prints.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "client/cli/bench_load.h"
#include "client/cli/bench_problem.h"
#include "client/cli/bench_recorder.h"

namespace attnd::cli {

struct BenchResult {
  BenchShape shape;
  std::int64_t tensor_bytes = 0;  // of one request and its output
  bool stream = false;
  LoadOptions load = {};
  absl::Duration elapsed = absl::ZeroDuration();  // from the end of the warm-up on
  bool interrupted = false;
  LoadRecord record = {};
};

// One JSON object and a line break. What could not be measured is null.
std::string BenchReportAsJson(const BenchResult& result);

std::string BenchReportAsText(const BenchResult& result);

// "12 s: 3456 answered, 288.1 a second, p50 3.4 ms, p99 4.1 ms, 0 failed", of which the rate and the latencies are
// those of the requests that were answered in the last `interval`.
std::string BenchProgress(absl::Duration elapsed, std::int64_t answered,
                          const std::vector<double>& last_latencies_seconds, absl::Duration interval,
                          std::int64_t failed);

}  // namespace attnd::cli

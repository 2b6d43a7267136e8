// What came of the requests of a load: latencies, failures, and what the server says of itself.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/cpp/client.h"

namespace attnd::cli {

// Percentiles by nearest rank: p99 is the smallest latency that at least 99 % do not exceed.
struct LatencySummary {
  std::int64_t count = 0;
  // Seconds; 0 where nothing was counted.
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
};

LatencySummary Summarize(std::vector<double> latencies_seconds);

// Requests that ended with the same code.
struct Failures {
  std::int64_t count = 0;
  std::string first_text;
};

// Means over the answers, in seconds, of what Report says.
struct ServerPhases {
  double decode = 0;
  double queue = 0;
  double compute = 0;
  double encode = 0;
};

struct LoadRecord {
  LatencySummary latency;  // of the requests that were answered
  ServerPhases server;
  std::string kernel;  // of the last answer
  std::map<absl::StatusCode, Failures> failures;

  std::int64_t failed() const;
};

// Thread-safe. Keeps every latency, 8 bytes each, so that percentiles are exact.
class Recorder {
 public:
  void Record(absl::Duration latency, const absl::StatusOr<Report>& result);

  // Of all requests so far.
  LoadRecord Summary() const;

  // The latencies from the one of this index on, and how many requests have failed.
  std::vector<double> LatenciesFrom(std::size_t index) const;
  std::int64_t failed() const;

 private:
  mutable absl::Mutex mutex_;
  std::vector<double> latencies_seconds_ ABSL_GUARDED_BY(mutex_);
  // Its latency is computed when asked for, and its phases are sums.
  LoadRecord record_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnd::cli

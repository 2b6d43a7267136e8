// When which request begins: closed loop (a caller's next one when its last one has ended) or open loop (by the clock).
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "client/cli/bench_recorder.h"
#include "client/cpp/client.h"

namespace attnd::cli {

// As many latencies as a Recorder keeps in 80 MB.
inline constexpr std::int64_t kMostRequests = 10'000'000;

struct LoadOptions {
  // Requests that are on their way at most.
  int concurrency = 1;
  // Open loop: so many requests a second begin, evenly spaced, whatever becomes of them. Empty: closed loop.
  std::optional<double> rate = std::nullopt;
  // Requests that begin earlier are not recorded.
  absl::Duration warm_up = absl::ZeroDuration();
  // After the warm-up, no request begins later than this, and no more than so many.
  absl::Duration duration = absl::InfiniteDuration();
  std::int64_t requests = kMostRequests;
  // From a request's beginning.
  absl::Duration timeout = absl::Seconds(10);
};

// Time since it was made. Tests have one of their own.
class LoadClock {
 public:
  virtual ~LoadClock() = default;
  virtual absl::Duration Now() = 0;
  virtual void SleepFor(absl::Duration duration) = 0;
};

class SteadyClock : public LoadClock {
 public:
  SteadyClock();
  absl::Duration Now() override;
  void SleepFor(absl::Duration duration) override;

 private:
  const std::int64_t start_nanoseconds_;
};

// Makes one request, which may take so long, and waits for its answer. Called from LoadOptions::concurrency threads.
using LoadCall = std::function<absl::StatusOr<Report>(absl::Duration timeout)>;

// Returns when the time is over and every request that began has ended, and gives the time since the end of the
// warm-up. When `stop` is set no other one begins; those that then end CANCELLED are not recorded.
//
// In open loop, a request begins when its turn has come by the clock, also where all callers are still busy with
// earlier ones: its latency counts from there, so a server that stalls shows in every request that should have been
// answered meanwhile. One that waits for a caller until its timeout has passed is not sent, and is recorded as
// DEADLINE_EXCEEDED.
absl::Duration RunLoad(const LoadOptions& options, LoadClock& clock, const LoadCall& call, Recorder& recorder,
                       const std::atomic<bool>& stop);

}  // namespace attnd::cli

#include "client/cli/bench_load.h"

#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

namespace attnd::cli {
namespace {

// How soon `stop` is noticed.
constexpr absl::Duration kLongestSleep = absl::Milliseconds(50);

std::int64_t SteadyNanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// What all callers share.
class Load {
 public:
  Load(const LoadOptions& options, LoadClock& clock, const LoadCall& call, Recorder& recorder,
       const std::atomic<bool>& stop)
      : options_(options), clock_(clock), call_(call), recorder_(recorder), stop_(stop) {}

  // One caller: a request after the other.
  void Run() {
    while (true) {
      const absl::Duration begin = NextBeginning();
      const bool is_recorded = begin >= options_.warm_up;
      if (const absl::Duration end = options_.warm_up + options_.duration; begin >= end) {
        SleepUntil(end);
        return;
      }
      if (is_recorded && recorded_count_.fetch_add(1) >= options_.requests) return;
      if (!SleepUntil(begin)) return;
      const absl::StatusOr<Report> result = CallBefore(begin + options_.timeout);
      if (stop_ && absl::IsCancelled(result.status())) return;
      if (is_recorded) recorder_.Record(clock_.Now() - begin, result);
    }
  }

 private:
  absl::Duration NextBeginning() {
    if (!options_.rate) return clock_.Now();
    return absl::Seconds(static_cast<double>(begun_count_.fetch_add(1)) / *options_.rate);
  }

  // Whether it was not stopped before.
  bool SleepUntil(absl::Duration time) {
    for (absl::Duration now = clock_.Now(); now < time && !stop_; now = clock_.Now()) {
      clock_.SleepFor(std::min(time - now, kLongestSleep));
    }
    return !stop_;
  }

  absl::StatusOr<Report> CallBefore(absl::Duration deadline) {
    const absl::Duration now = clock_.Now();
    if (now < deadline) return call_(deadline - now);
    return absl::DeadlineExceededError("not sent: all callers were busy until its timeout had passed");
  }

  const LoadOptions& options_;
  LoadClock& clock_;
  const LoadCall& call_;
  Recorder& recorder_;
  const std::atomic<bool>& stop_;
  std::atomic<std::int64_t> begun_count_ = 0;
  std::atomic<std::int64_t> recorded_count_ = 0;
};

}  // namespace

SteadyClock::SteadyClock() : start_nanoseconds_(SteadyNanoseconds()) {}

absl::Duration SteadyClock::Now() { return absl::Nanoseconds(SteadyNanoseconds() - start_nanoseconds_); }

void SteadyClock::SleepFor(absl::Duration duration) {
  // Else Linux wakes a thread up to 50 µs late, which would count as the server's.
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  absl::SleepFor(duration);
}

absl::Duration RunLoad(const LoadOptions& options, LoadClock& clock, const LoadCall& call, Recorder& recorder,
                       const std::atomic<bool>& stop) {
  Load load(options, clock, call, recorder, stop);
  std::vector<std::thread> callers;
  for (int i = 0; i < options.concurrency; ++i) callers.emplace_back([&] { load.Run(); });
  for (std::thread& caller : callers) caller.join();
  return std::max(clock.Now() - options.warm_up, absl::ZeroDuration());
}

}  // namespace attnd::cli

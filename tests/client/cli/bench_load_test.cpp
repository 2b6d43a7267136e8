// Which requests a load begins, when, and from when on their latency counts.
#include "client/cli/bench_load.h"

#include <absl/status/status.h>
#include <absl/synchronization/barrier.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace attnd::cli {
namespace {

// Moves when somebody sleeps, or when a test says that a call takes time. For one caller.
class FakeClock : public LoadClock {
 public:
  absl::Duration Now() override { return now_; }
  void SleepFor(absl::Duration duration) override { now_ += duration; }

 private:
  absl::Duration now_;
};

// A server that takes 1 ms, but once, after 5 s, a second.
class StallingServer {
 public:
  explicit StallingServer(FakeClock& clock) : clock_(clock) {}

  absl::StatusOr<Report> Answer() {
    const bool stalls = !stalled_ && clock_.Now() >= absl::Seconds(5);
    stalled_ |= stalls;
    clock_.SleepFor(stalls ? absl::Seconds(1) : absl::Milliseconds(1));
    return Report();
  }

 private:
  FakeClock& clock_;
  bool stalled_ = false;
};

LatencySummary LatencyOfAStallingServer(const LoadOptions& options) {
  FakeClock clock;
  StallingServer server(clock);
  Recorder recorder;
  RunLoad(options, clock, [&](absl::Duration) { return server.Answer(); }, recorder, false);
  return recorder.Summary().latency;
}

TEST(BenchLoad, InOpenLoopAStallShowsInAllThatShouldHaveBeenAnsweredMeanwhile) {
  const LatencySummary latency = LatencyOfAStallingServer({.rate = 100, .duration = absl::Seconds(10)});
  EXPECT_EQ(latency.count, 1000);
  // The request that meets the stall waits a second and each later one 9 ms less, since they begin every 10 ms and then
  // take 1 ms. So a tenth of all waits, and p99 is the eleventh of those.
  EXPECT_NEAR(latency.p50, 0.001, 1e-9);
  EXPECT_NEAR(latency.p99, 1 - 0.009 * 10, 1e-6);
  EXPECT_NEAR(latency.max, 1, 1e-9);
}

// What open loop is there for: here one request meets the stall, and the others wait with it, unseen.
TEST(BenchLoad, InClosedLoopAStallShowsInOneRequest) {
  const LatencySummary latency = LatencyOfAStallingServer({.duration = absl::Seconds(10)});
  EXPECT_EQ(latency.count, 9001);
  EXPECT_NEAR(latency.p99, 0.001, 1e-9);
  EXPECT_NEAR(latency.max, 1, 1e-9);
}

TEST(BenchLoad, InOpenLoopRequestsBeginByTheClock) {
  FakeClock clock;
  Recorder recorder;
  std::vector<absl::Duration> begun;
  const absl::Duration elapsed = RunLoad(
      {.rate = 4, .warm_up = absl::Seconds(0.5), .duration = absl::Seconds(1)}, clock,
      [&](absl::Duration) {
        begun.push_back(clock.Now());
        return Report();
      },
      recorder, false);
  using absl::Seconds;
  EXPECT_THAT(begun,
              testing::ElementsAre(Seconds(0), Seconds(0.25), Seconds(0.5), Seconds(0.75), Seconds(1), Seconds(1.25)));
  EXPECT_EQ(recorder.Summary().latency.count, 4);
  EXPECT_EQ(elapsed, Seconds(1));
}

TEST(BenchLoad, InOpenLoopARequestThatWaitsForACallerTooLongIsNotSentAndFails) {
  FakeClock clock;
  Recorder recorder;
  std::vector<absl::Duration> timeouts;
  RunLoad(
      {.rate = 1, .duration = absl::Seconds(4), .timeout = absl::Seconds(2)}, clock,
      [&](absl::Duration timeout) -> absl::StatusOr<Report> {
        timeouts.push_back(timeout);
        clock.SleepFor(absl::Seconds(2.5));
        return Report();
      },
      recorder, false);
  // The second begins at 1 s and gets the caller at 2.5 s, the third at 2 s and 5 s, the fourth at 3 s and 5 s.
  EXPECT_THAT(timeouts, testing::ElementsAre(absl::Seconds(2), absl::Seconds(0.5)));
  const LoadRecord record = recorder.Summary();
  EXPECT_EQ(record.latency.count, 2);
  EXPECT_DOUBLE_EQ(record.latency.max, 4);
  EXPECT_EQ(record.failures.at(absl::StatusCode::kDeadlineExceeded).count, 2);
}

TEST(BenchLoad, NoMoreRequestsAreRecordedThanAskedFor) {
  FakeClock clock;
  Recorder recorder;
  int calls = 0;
  RunLoad(
      {.warm_up = absl::Seconds(1), .requests = 5}, clock,
      [&](absl::Duration) {
        clock.SleepFor(absl::Seconds(0.25));
        ++calls;
        return Report();
      },
      recorder, false);
  EXPECT_EQ(calls, 4 + 5);
  EXPECT_EQ(recorder.Summary().latency.count, 5);
}

TEST(BenchLoad, CallersCallSideBySide) {
  constexpr int kCallers = 4;
  SteadyClock clock;
  Recorder recorder;
  absl::Barrier* const all_are_there = new absl::Barrier(kCallers);
  RunLoad(
      {.concurrency = kCallers, .requests = kCallers}, clock,
      [&](absl::Duration) {
        if (all_are_there->Block()) delete all_are_there;
        return Report();
      },
      recorder, false);
  EXPECT_EQ(recorder.Summary().latency.count, kCallers);
}

TEST(BenchLoad, WhatIsStoppedOnItsWayIsNotRecorded) {
  SteadyClock clock;
  Recorder recorder;
  std::atomic<bool> stop = false;
  int calls = 0;
  RunLoad(
      {}, clock,
      [&](absl::Duration) -> absl::StatusOr<Report> {
        if (++calls < 3) return Report();
        stop = true;
        return absl::CancelledError("given up");
      },
      recorder, stop);
  EXPECT_EQ(calls, 3);
  const LoadRecord record = recorder.Summary();
  EXPECT_EQ(record.latency.count, 2);
  EXPECT_EQ(record.failed(), 0);
}

TEST(BenchLoad, StoppingEndsTheWaitForTheNextTurn) {
  SteadyClock clock;
  Recorder recorder;
  std::atomic<bool> stop = false;
  RunLoad(
      {.rate = 1e-3}, clock,
      [&](absl::Duration) {
        stop = true;
        return Report();
      },
      recorder, stop);
  EXPECT_EQ(recorder.Summary().latency.count, 1);
}

}  // namespace
}  // namespace attnd::cli

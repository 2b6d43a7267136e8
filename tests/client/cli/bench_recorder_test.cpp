// Percentiles, and what is counted of a load.
#include "client/cli/bench_recorder.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace attnd::cli {
namespace {

// 1 to `count` seconds, the largest first.
std::vector<double> Down(int count) {
  std::vector<double> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.rbegin(), numbers.rend(), 1.0);
  return numbers;
}

TEST(BenchRecorder, PercentilesAreLatenciesThatWereMeasured) {
  const LatencySummary latency = Summarize(Down(1000));
  EXPECT_EQ(latency.count, 1000);
  EXPECT_EQ(latency.mean, 500.5);
  EXPECT_EQ(latency.p50, 500);
  EXPECT_EQ(latency.p90, 900);
  EXPECT_EQ(latency.p99, 990);
  EXPECT_EQ(latency.max, 1000);
}

TEST(BenchRecorder, OfFewLatenciesTheLargestIsP99) {
  EXPECT_EQ(Summarize(Down(99)).p99, 99);
  EXPECT_EQ(Summarize(Down(101)).p99, 100);
  EXPECT_EQ(Summarize(Down(2)).p50, 1);
  EXPECT_EQ(Summarize(Down(1)).p50, 1);
}

TEST(BenchRecorder, OfNothingAllIsZero) {
  const LoadRecord record = Recorder().Summary();
  EXPECT_EQ(record.latency.count, 0);
  EXPECT_EQ(record.latency.max, 0);
  EXPECT_EQ(record.server.compute, 0);
  EXPECT_EQ(record.failed(), 0);
}

TEST(BenchRecorder, FailuresAreCountedByTheirCodeAndHaveNoLatency) {
  Recorder recorder;
  recorder.Record(absl::Seconds(1), absl::UnavailableError("the first"));
  recorder.Record(absl::Seconds(1), absl::UnavailableError("the second"));
  recorder.Record(absl::Seconds(1), absl::InternalError("another"));
  recorder.Record(absl::Seconds(2), Report());
  const LoadRecord record = recorder.Summary();
  EXPECT_EQ(record.latency.count, 1);
  EXPECT_EQ(record.failed(), 3);
  EXPECT_EQ(record.failures.at(absl::StatusCode::kUnavailable).count, 2);
  EXPECT_EQ(record.failures.at(absl::StatusCode::kUnavailable).first_text, "the first");
  EXPECT_EQ(record.failures.at(absl::StatusCode::kInternal).count, 1);
}

TEST(BenchRecorder, WhatTheServerSaysIsAveraged) {
  Recorder recorder;
  Report report{.kernel = "first", .decode_seconds = 1, .queue_seconds = 2, .compute_seconds = 3, .encode_seconds = 4};
  recorder.Record(absl::Seconds(10), report);
  report = {.kernel = "last", .decode_seconds = 3, .queue_seconds = 4, .compute_seconds = 5, .encode_seconds = 6};
  recorder.Record(absl::Seconds(10), report);
  const LoadRecord record = recorder.Summary();
  EXPECT_EQ(record.kernel, "last");
  EXPECT_EQ(record.server.decode, 2);
  EXPECT_EQ(record.server.queue, 3);
  EXPECT_EQ(record.server.compute, 4);
  EXPECT_EQ(record.server.encode, 5);
}

TEST(BenchRecorder, ProgressSeesWhatIsNew) {
  Recorder recorder;
  recorder.Record(absl::Seconds(1), Report());
  recorder.Record(absl::Seconds(2), Report());
  EXPECT_THAT(recorder.LatenciesFrom(0), testing::ElementsAre(1, 2));
  EXPECT_THAT(recorder.LatenciesFrom(1), testing::ElementsAre(2));
  EXPECT_THAT(recorder.LatenciesFrom(2), testing::IsEmpty());
}

}  // namespace
}  // namespace attnd::cli

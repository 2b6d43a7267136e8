// What `attnctl bench` prints: the keys of its JSON stay, and its figures are those of the record.
#include "client/cli/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace attnd::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

BenchResult Result() {
  BenchResult result{.shape = *BenchPreset("minilm-layer"), .tensor_bytes = 1'000'000, .stream = true};
  result.load = {.concurrency = 4, .warm_up = absl::Seconds(1), .duration = absl::Seconds(2)};
  result.elapsed = absl::Seconds(2);
  result.record.latency = {.count = 500, .mean = 0.001, .p50 = 0.002, .p90 = 0.003, .p99 = 0.004, .max = 0.005};
  result.record.server = {.decode = 0.1, .queue = 0.2, .compute = 0.3, .encode = 0.4};
  result.record.kernel = "brgemm-float32";
  result.record.failures[absl::StatusCode::kUnavailable] = {.count = 3, .first_text = "gone\n\x1b"};
  return result;
}

std::vector<std::string> Keys(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

TEST(BenchReport, TheKeysOfItsJson) {
  const json report = json::parse(BenchReportAsJson(Result()));
  EXPECT_THAT(Keys(report), testing::ElementsAre("answered", "answers_per_second", "elapsed_seconds", "failed",
                                                 "failures", "gigabytes_per_second", "gigaflops_per_second",
                                                 "interrupted", "latency_seconds", "load", "problem", "server"));
  EXPECT_THAT(Keys(report["problem"]),
              testing::ElementsAre("batch", "causal", "element_type", "head_size", "heads", "key_lengths",
                                   "key_value_heads", "keys", "queries", "value_head_size"));
  EXPECT_THAT(Keys(report["load"]), testing::ElementsAre("concurrency", "loop", "rate_per_second", "seconds", "stream",
                                                         "timeout_seconds", "warm_up_seconds"));
  EXPECT_THAT(Keys(report["latency_seconds"]), testing::ElementsAre("max", "mean", "p50", "p90", "p99"));
  EXPECT_THAT(Keys(report["server"]), testing::ElementsAre("kernel", "mean_compute_seconds", "mean_decode_seconds",
                                                           "mean_encode_seconds", "mean_queue_seconds"));
  EXPECT_EQ(report["failures"], json({{"UNAVAILABLE", {{"count", 3}, {"first_text", "gone\n\x1b"}}}}));
}

TEST(BenchReport, RatesAreOfTheAnswered) {
  const BenchResult result = Result();
  const json report = json::parse(BenchReportAsJson(result));
  EXPECT_EQ(report["answered"], 500);
  EXPECT_EQ(report["failed"], 3);
  EXPECT_EQ(report["answers_per_second"], 250);
  EXPECT_DOUBLE_EQ(report["gigabytes_per_second"], 0.25);
  EXPECT_DOUBLE_EQ(report["gigaflops_per_second"], 250 * UsefulOperations(result.shape) / 1e9);
  EXPECT_EQ(report["load"]["loop"], "closed");
  EXPECT_EQ(report["load"]["rate_per_second"], nullptr);
}

TEST(BenchReport, WhatCouldNotBeMeasuredIsNull) {
  BenchResult result{.shape = *BenchPreset("bert-base-layer")};
  result.load.rate = 2.5;
  const json report = json::parse(BenchReportAsJson(result));
  EXPECT_EQ(report["latency_seconds"], nullptr);
  EXPECT_EQ(report["server"], nullptr);
  EXPECT_EQ(report["load"]["seconds"], nullptr);
  EXPECT_EQ(report["problem"]["key_lengths"], nullptr);
  EXPECT_EQ(report["answers_per_second"], 0);
  EXPECT_EQ(report["load"]["loop"], "open");
  EXPECT_EQ(report["load"]["rate_per_second"], 2.5);
}

TEST(BenchReport, AsText) {
  const std::string text = BenchReportAsText(Result());
  EXPECT_THAT(text, HasSubstr("problem      float32 B3 H12 S15 D32, key lengths 15,12,9\n"));
  EXPECT_THAT(text, HasSubstr("load         closed loop, 4 at once, one stream, 2.0 s after 1.0 s of warm-up\n"));
  EXPECT_THAT(text, HasSubstr("answered     500, 3 failed\n"));
  EXPECT_THAT(text, HasSubstr("failed       3 with UNAVAILABLE, the first: gone"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("p50 2.000 ms, p90 3.000 ms, p99 4.000 ms, largest 5.000 ms\n"));
  EXPECT_THAT(text, HasSubstr("throughput   250.0 answers a second, 0.25 GB/s of tensors"));
}

TEST(BenchReport, OfAnInterruptedLoadWithoutAnAnswer) {
  BenchResult result{.shape = *BenchPreset("bert-base-layer")};
  result.load.rate = 20;
  result.interrupted = true;
  EXPECT_EQ(BenchReportAsText(result),
            "problem      float32 B8 H12 S512 D64\n"
            "load         open loop, 20 requests a second, at most 1 on their way, a call each, 0.0 s after 0.0 s of "
            "warm-up, interrupted\n"
            "answered     0, 0 failed\n");
}

TEST(BenchReport, Progress) {
  EXPECT_EQ(BenchProgress(absl::Seconds(12), 3456, {0.001, 0.002, 0.004}, absl::Seconds(0.5), 7),
            "12 s: 3456 answered, 6.0 a second, p50 2 ms, p99 4 ms, 7 failed");
}

}  // namespace
}  // namespace attnd::cli

// What the weights of many keys say takes the memory that the engine told before, and nothing that grows with rows ×
// keys.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "core/engine.h"
#include "tests/support/allocated_bytes.h"
#include "tests/support/engine_call.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;
constexpr std::int64_t kAllowedBytes = kMebibyte / 4;

// Not where a sanitizer allocates.
bool IsCounted() {
  const std::int64_t before = AllocatedBytes();
  const std::vector<char> more(kMebibyte);
  return AllocatedBytes() - before >= std::ssize(more);
}

// Looks after each piece of work, while other workers hold what theirs need. Pieces of summaries are those that come
// after tiles were computed and compute none themselves.
class PeakObserver : public core::Observer {
 public:
  void OnWorkDone(const core::WorkDone& done) override {
    if (done.computed_tiles > 0) has_computed_ = true;
    Raise(has_computed_ && done.computed_tiles == 0 ? second_pass_bytes_ : first_pass_bytes_);
  }

  std::int64_t first_pass_bytes() const { return first_pass_bytes_; }
  std::int64_t second_pass_bytes() const { return second_pass_bytes_; }

 private:
  static void Raise(std::atomic<std::int64_t>& peak) {
    const std::int64_t bytes = AllocatedBytes();
    for (std::int64_t before = peak; bytes > before && !peak.compare_exchange_weak(before, bytes);) {
    }
  }

  std::atomic<bool> has_computed_ = false;
  std::atomic<std::int64_t> first_pass_bytes_ = 0;
  std::atomic<std::int64_t> second_pass_bytes_ = 0;
};

AttentionCase LongCase(std::int64_t query_rows, std::int64_t keys) {
  Random random = SeededRandom();
  AttentionCase attention =
      MakeCase({.sizes = {.query_rows = query_rows, .keys = keys, .head_size = 64, .value_head_size = 64}}, random);
  attention.description.return_weights = false;
  core::SummaryOptions& summaries = attention.description.summaries;
  summaries.top_keys = 16;
  summaries.entropy = true;
  summaries.received_sum = true;
  summaries.pooled_map = {.rows = 256, .columns = 256};
  return attention;
}

TEST(SummariesMemoryTest, IsWhatTheEngineTells) {
  // What is made once: products.
  EngineCall first(LongCase(2048, 1024));
  ASSERT_TRUE(core::Engine({.worker_count = 2}).Run(first.problem(), first.tensors()).ok());

  PeakObserver observer;
  core::Engine engine({.worker_count = 2, .observer = &observer});
  EngineCall call(LongCase(2048, 65'536));
  const std::int64_t before = AllocatedBytes();
  const absl::StatusOr<core::Report> report = engine.Run(call.problem(), call.tensors());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->summary_tiles, 2 * (2048 / 64) * (65'536 / 512));

  core::Problem without_summaries = call.problem();
  without_summaries.summaries = {};
  const std::int64_t told = engine.WorkingSizeBytes(call.problem());
  const std::int64_t told_of_summaries = told - engine.WorkingSizeBytes(without_summaries);
  const std::int64_t first_pass = observer.first_pass_bytes() - before;
  const std::int64_t second_pass = observer.second_pass_bytes() - before;
  constexpr double kInMebibytes = 1.0 / kMebibyte;
  std::printf("told: %.2f MiB, of which summaries %.2f; first pass: %.2f MiB, second: %.2f\n",
              static_cast<double>(told) * kInMebibytes, static_cast<double>(told_of_summaries) * kInMebibytes,
              static_cast<double>(first_pass) * kInMebibytes, static_cast<double>(second_pass) * kInMebibytes);
  EXPECT_LE(first_pass, told + kAllowedBytes);
  EXPECT_LE(second_pass, told_of_summaries + kAllowedBytes);
  EXPECT_LE(told_of_summaries, 2 * kMebibyte);
  if (!IsCounted()) return;
  EXPECT_GE(first_pass, 2 * 65'536 * 64 * 4);  // packed keys and values are seen
  EXPECT_GE(second_pass, 2048 * 8);            // the rows' softmax is
}

}  // namespace
}  // namespace attnd::test

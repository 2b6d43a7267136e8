// Calls of all kinds from many threads at once: each is done exactly once, and what was not given up is right to the
// bit.
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/engine_call.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

constexpr int kThreads = 4;
constexpr int kCallsPerThread = 24;

// Of several shapes and element types, so that the caches of products are filled at once as well.
std::vector<AttentionCase> Cases() {
  Random random = SeededRandom();
  std::vector<AttentionCase> cases;
  for (const core::ElementType type :
       {core::ElementType::kFloat32, core::ElementType::kBfloat16, core::ElementType::kFloat16}) {
    for (const std::int64_t head_size : {8, 40}) {
      cases.push_back(MakeCase({.sizes = {.query_heads = 4,
                                          .key_value_heads = 2,
                                          .query_rows = 70,
                                          .keys = 600,
                                          .head_size = head_size,
                                          .value_head_size = head_size},
                                .element_type = type},
                               random));
    }
  }
  return cases;
}

enum class Fate : std::uint8_t { kRuns, kIsCancelled, kHasADeadline };
constexpr Fate kFates[] = {Fate::kRuns, Fate::kIsCancelled, Fate::kHasADeadline};

struct StartedCall {
  StartedCall(const AttentionCase& attention, Fate given_fate) : call(attention), fate(given_fate) {}

  EngineCall call;
  const Fate fate;
  std::atomic<int> done_count = 0;
  absl::Status status;  // written before done_count
};

void Start(core::Engine& engine, StartedCall& started, absl::Duration until_deadline) {
  const auto cancellation = std::make_shared<core::Cancellation>();
  core::CallOptions options = {.cancellation = cancellation};
  if (started.fate == Fate::kHasADeadline) options.deadline = absl::Now() + until_deadline;
  engine.Start(started.call.problem(), started.call.tensors(), options,
               [&started](const absl::StatusOr<core::Report>& report) {
                 started.status = report.status();
                 ++started.done_count;
               });
  if (started.fate == Fate::kIsCancelled) cancellation->Cancel();
}

TEST(ConcurrentCallsTest, EachIsDoneOnceAndNoneDisturbsAnother) {
  const std::vector<AttentionCase> cases = Cases();
  std::vector<std::vector<std::uint8_t>> expected;
  for (const AttentionCase& attention : cases) expected.push_back(AttendForBytes(SharedEngine(), attention));
  const auto case_of = [&](int n) { return static_cast<std::size_t>(n) % cases.size(); };

  std::vector<std::unique_ptr<StartedCall>> calls;
  for (int n = 0; n < kThreads * kCallsPerThread; ++n) {
    calls.push_back(std::make_unique<StartedCall>(cases[case_of(n)], kFates[n / kThreads % std::size(kFates)]));
  }
  {
    core::Engine engine({.worker_count = 3});
    std::vector<std::thread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int n = thread; n < kThreads * kCallsPerThread; n += kThreads) {
          Start(engine, *calls[static_cast<std::size_t>(n)], absl::Microseconds(50 * n));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  for (int n = 0; n < kThreads * kCallsPerThread; ++n) {
    const StartedCall& started = *calls[static_cast<std::size_t>(n)];
    SCOPED_TRACE("call " + std::to_string(n));
    EXPECT_EQ(started.done_count, 1);
    EXPECT_TRUE(started.call.GuardsAreIntact());
    if (started.status.ok()) {
      EXPECT_TRUE(started.call.OutputBytes() == expected[case_of(n)]);
    } else {
      EXPECT_NE(started.fate, Fate::kRuns) << started.status;
      EXPECT_EQ(started.status.code(), started.fate == Fate::kIsCancelled ? absl::StatusCode::kCancelled
                                                                          : absl::StatusCode::kDeadlineExceeded);
    }
  }
}

}  // namespace
}  // namespace attnd::test

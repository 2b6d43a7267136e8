// The engine as a scheduler: calls given up, calls in turn, calls at its end, and what it tells of itself.
#include "core/engine.h"

#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

// Calls `on_first` once, from the worker that finished the first piece of work, and counts tiles.
class FirstPieceObserver : public core::Observer {
 public:
  explicit FirstPieceObserver(std::function<void()> on_first) : on_first_(std::move(on_first)) {}

  void OnWorkDone(const core::WorkDone& work) override {
    computed_tiles_ += work.computed_tiles;
    if (!seen_.exchange(true)) on_first_();
  }

  std::int64_t computed_tiles() const { return computed_tiles_; }

 private:
  const std::function<void()> on_first_;
  std::atomic<bool> seen_ = false;
  std::atomic<std::int64_t> computed_tiles_ = 0;
};

// Calls `on_summary` once, from the worker that finished the first piece of the second pass, and counts its pieces:
// those that compute no tile of the first, after some did.
class SummaryObserver : public core::Observer {
 public:
  explicit SummaryObserver(std::function<void()> on_summary) : on_summary_(std::move(on_summary)) {}

  void OnWorkDone(const core::WorkDone& work) override {
    if (work.computed_tiles > 0) {
      has_computed_ = true;
    } else if (has_computed_ && pieces_++ == 0) {
      on_summary_();
    }
  }

  int pieces() const { return pieces_; }

 private:
  const std::function<void()> on_summary_;
  std::atomic<bool> has_computed_ = false;
  std::atomic<int> pieces_ = 0;
};

// 8 heads of 4 query tiles and 1 key tile each.
AttentionCase LargeCase() {
  Random random = SeededRandom();
  return MakeCase({.sizes = {.query_heads = 8,
                             .key_value_heads = 8,
                             .query_rows = 256,
                             .keys = 256,
                             .head_size = 64,
                             .value_head_size = 64}},
                  random);
}
constexpr std::int64_t kLargeCaseTiles = 8 * 4;

AttentionCase SmallCase() {
  Random random = SeededRandom();
  return MakeCase({.sizes = {.query_rows = 4, .keys = 4, .head_size = 8, .value_head_size = 8}}, random);
}

// Waits for calls that were started, and keeps the order in which they ended.
class Started {
 public:
  explicit Started(int count) : left_(count) {}

  core::Engine::Done Done(const std::string& name) {
    return [this, name](const absl::StatusOr<core::Report>& report) {
      const std::lock_guard lock(mutex_);
      order_.push_back(name + ": " + std::string(absl::StatusCodeToString(report.status().code())));
      if (--left_ == 0) all_.Notify();
    };
  }

  std::vector<std::string> Wait() {
    all_.WaitForNotification();
    const std::lock_guard lock(mutex_);
    return order_;
  }

  std::vector<std::string> order() {
    const std::lock_guard lock(mutex_);
    return order_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> order_;
  int left_;
  absl::Notification all_;
};

TEST(CancellationTest, GivesUpTheRemainingTilesAndLeavesTheTensorsAlone) {
  const auto cancellation = std::make_shared<core::Cancellation>();
  FirstPieceObserver observer([&] { cancellation->Cancel(); });
  core::Engine engine({.worker_count = 1, .observer = &observer});
  EngineCall large(LargeCase());
  const absl::StatusOr<core::Report> report =
      engine.Run(large.problem(), large.tensors(), {.cancellation = cancellation});
  EXPECT_EQ(report.status().code(), absl::StatusCode::kCancelled) << report.status();
  EXPECT_LT(observer.computed_tiles(), kLargeCaseTiles / 2);

  const std::vector<std::uint8_t> bytes = large.OutputBytes();
  const AttentionCase small = SmallCase();
  ExpectCorrect(small, Attend(engine, small));
  EXPECT_TRUE(large.OutputBytes() == bytes);
  EXPECT_TRUE(large.GuardsAreIntact());
}

// One key and value head, so that all packing comes before all computing.
TEST(CancellationTest, GivesUpTheRemainingSummaries) {
  Random random = SeededRandom();
  AttentionCase attention = MakeCase({.sizes = {.query_heads = 8, .query_rows = 64, .keys = 64}}, random);
  attention.description.summaries.entropy = true;  // a piece for each head
  const auto run = [&](bool cancel) {
    auto cancellation = std::make_shared<core::Cancellation>();
    SummaryObserver observer([&] {
      if (cancel) cancellation->Cancel();
    });
    core::Engine engine(core::EngineOptions{.worker_count = 1, .observer = &observer});
    EngineCall call(attention);
    const auto report = engine.Run(call.problem(), call.tensors(), {.cancellation = cancellation});
    EXPECT_EQ(report.status().code(), cancel ? absl::StatusCode::kCancelled : absl::StatusCode::kOk);
    EXPECT_TRUE(call.GuardsAreIntact());
    return observer.pieces();
  };
  EXPECT_EQ(run(false), 8);
  EXPECT_EQ(run(true), 1);
}

TEST(CancellationTest, BeforeTheFirstTileComputesNothing) {
  FirstPieceObserver observer([] {});
  core::Engine engine({.worker_count = 2, .observer = &observer});
  const auto cancellation = std::make_shared<core::Cancellation>();
  cancellation->Cancel();
  EngineCall large(LargeCase());
  const std::vector<std::uint8_t> bytes = large.OutputBytes();
  const absl::StatusOr<core::Report> report =
      engine.Run(large.problem(), large.tensors(), {.cancellation = cancellation});
  EXPECT_EQ(report.status().code(), absl::StatusCode::kCancelled) << report.status();
  EXPECT_EQ(observer.computed_tiles(), 0);
  EXPECT_TRUE(large.OutputBytes() == bytes);
}

TEST(CancellationTest, OfOneCallLeavesTheOthersRunning) {
  const auto cancellation = std::make_shared<core::Cancellation>();
  FirstPieceObserver observer([&] { cancellation->Cancel(); });
  core::Engine engine({.worker_count = 2, .observer = &observer});
  EngineCall cancelled(LargeCase());
  const AttentionCase attention = LargeCase();
  EngineCall other(attention);
  Started started(1);
  engine.Start(cancelled.problem(), cancelled.tensors(), {.cancellation = cancellation}, started.Done("cancelled"));
  const absl::StatusOr<core::Report> report = engine.Run(other.problem(), other.tensors());
  ASSERT_TRUE(report.ok()) << report.status();
  ExpectCorrect(attention, other.ToAnswer(*report));
  EXPECT_EQ(started.Wait(), (std::vector<std::string>{"cancelled: CANCELLED"}));
}

TEST(DeadlineTest, ThatHasPassedComputesNothing) {
  FirstPieceObserver observer([] {});
  core::Engine engine({.worker_count = 2, .observer = &observer});
  EngineCall large(LargeCase());
  const absl::StatusOr<core::Report> report =
      engine.Run(large.problem(), large.tensors(), {.deadline = absl::Now() - absl::Seconds(1)});
  EXPECT_EQ(report.status().code(), absl::StatusCode::kDeadlineExceeded) << report.status();
  EXPECT_EQ(observer.computed_tiles(), 0);
}

TEST(DeadlineTest, ThatPassesOnTheWayGivesUpTheRemainingTiles) {
  // The first piece of work ends only when the deadline has passed.
  absl::Time deadline = absl::Now() + absl::Milliseconds(50);
  FirstPieceObserver observer([&] {
    while (absl::Now() <= deadline) absl::SleepFor(absl::Milliseconds(5));
  });
  core::Engine engine({.worker_count = 1, .observer = &observer});
  EngineCall large(LargeCase());
  const absl::StatusOr<core::Report> report = engine.Run(large.problem(), large.tensors(), {.deadline = deadline});
  EXPECT_EQ(report.status().code(), absl::StatusCode::kDeadlineExceeded) << report.status();
  EXPECT_LT(observer.computed_tiles(), kLargeCaseTiles / 2);

  const std::vector<std::uint8_t> bytes = large.OutputBytes();
  const AttentionCase small = SmallCase();
  ExpectCorrect(small, Attend(engine, small));
  EXPECT_TRUE(large.OutputBytes() == bytes);
}

TEST(DeadlineTest, InTheFutureChangesNothing) {
  const AttentionCase small = SmallCase();
  EngineCall call(small);
  const absl::StatusOr<core::Report> report = SharedEngine().Run(
      call.problem(), call.tensors(),
      {.deadline = absl::Now() + absl::Hours(1), .cancellation = std::make_shared<core::Cancellation>()});
  ASSERT_TRUE(report.ok()) << report.status();
  ExpectCorrect(small, call.ToAnswer(*report));
}

TEST(FairnessTest, ASmallCallOvertakesALargeOneThatWasStartedBefore) {
  // The only worker is held at the large call's first piece until the small calls have been started.
  absl::Notification large_begun;
  absl::Notification small_started;
  FirstPieceObserver observer([&] {
    large_begun.Notify();
    small_started.WaitForNotification();
  });
  core::Engine engine({.worker_count = 1, .observer = &observer});
  EngineCall large(LargeCase());
  EngineCall first(SmallCase());
  EngineCall second(SmallCase());
  Started started(3);
  engine.Start(large.problem(), large.tensors(), {}, started.Done("large"));
  large_begun.WaitForNotification();
  engine.Start(first.problem(), first.tensors(), {}, started.Done("first"));
  engine.Start(second.problem(), second.tensors(), {}, started.Done("second"));
  small_started.Notify();
  EXPECT_EQ(started.Wait(), (std::vector<std::string>{"first: OK", "second: OK", "large: OK"}));
}

TEST(EngineTest, EndsWhenEveryCallIsDone) {
  constexpr int kCalls = 12;
  std::vector<std::unique_ptr<EngineCall>> calls;
  for (int n = 0; n < kCalls; ++n)
    calls.push_back(std::make_unique<EngineCall>(n % 3 == 0 ? LargeCase() : SmallCase()));
  Started started(kCalls);
  {
    core::Engine engine({.worker_count = 2});
    for (const auto& call : calls) engine.Start(call->problem(), call->tensors(), {}, started.Done("call"));
  }
  EXPECT_EQ(started.order(), std::vector<std::string>(kCalls, "call: OK"));
}

TEST(EngineTest, WhoStartsASmallCallComputesItWhereAWorkerIsIdle) {
  core::Engine engine({.worker_count = 1});
  const AttentionCase attention = SmallCase();
  // The worker is idle when it has had time to begin.
  constexpr int kAttempts = 10'000;
  bool is_here = false;
  for (int attempt = 0; attempt < kAttempts && !is_here; ++attempt) {
    EngineCall call(attention);
    absl::Notification done;
    absl::StatusOr<core::Report> result;
    engine.Start(call.problem(), call.tensors(), {},
                 [&, here = std::this_thread::get_id()](absl::StatusOr<core::Report> report) {
                   is_here = std::this_thread::get_id() == here;
                   result = std::move(report);
                   done.Notify();
                 });
    done.WaitForNotification();
    ASSERT_TRUE(result.ok()) << result.status();
    ExpectCorrect(attention, call.ToAnswer(*result));
    absl::SleepFor(absl::Microseconds(200));
  }
  EXPECT_TRUE(is_here);
}

TEST(EngineTest, ADoneMayStartAnotherCall) {
  core::Engine engine({.worker_count = 1});
  const AttentionCase attention = SmallCase();
  EngineCall first(attention);
  EngineCall second(attention);
  Started started(1);
  engine.Start(first.problem(), first.tensors(), {}, [&](const absl::StatusOr<core::Report>& report) {
    EXPECT_TRUE(report.ok()) << report.status();
    engine.Start(second.problem(), second.tensors(), {}, started.Done("second"));
  });
  EXPECT_EQ(started.Wait(), (std::vector<std::string>{"second: OK"}));
  EXPECT_TRUE(second.OutputBytes() == first.OutputBytes());
}

TEST(EngineTest, ReportsThePlanAndTheWork) {
  const AttentionCase attention = LargeCase();
  FirstPieceObserver observer([] {});
  core::Engine engine({.worker_count = 2, .observer = &observer});
  EngineCall call(attention);
  const absl::StatusOr<core::Report> report = engine.Run(call.problem(), call.tensors());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->kernel, engine.kernels()[0].kernel);
  EXPECT_EQ(report->computed_tiles, kLargeCaseTiles);
  EXPECT_EQ(report->computed_tiles, observer.computed_tiles());
  EXPECT_EQ(report->skipped_tiles, 0);
  EXPECT_EQ(report->query_tile_rows, 64);
  EXPECT_EQ(report->key_tile_keys, 512);
  EXPECT_EQ(report->floating_point_operations, 4.0 * 8 * 256 * 256 * 64);
  EXPECT_GE(report->queue_seconds, 0);
  EXPECT_GT(report->compute_seconds, 0);
}

TEST(EngineTest, HasAKernelForEveryElementType) {
  const std::vector<core::KernelDescription> kernels = SharedEngine().kernels();
  ASSERT_EQ(kernels.size(), 3);
  EXPECT_EQ(kernels[0].element_type, core::ElementType::kFloat32);
  EXPECT_EQ(kernels[1].element_type, core::ElementType::kBfloat16);
  EXPECT_EQ(kernels[2].element_type, core::ElementType::kFloat16);
  for (const core::KernelDescription& kernel : kernels) EXPECT_FALSE(kernel.kernel.empty());
}

TEST(EngineTest, TellsWhatItWorksWith) {
  core::Engine engine({.worker_count = 2});
  EngineCall call(LargeCase());
  // Two of the eight groups at a time, in float32, with nothing to pad.
  EXPECT_EQ(engine.WorkingSizeBytes(call.problem()), 2 * (256 * 64 + 256 * 64) * 4);
}

}  // namespace
}  // namespace attnd::test

#include "core/worker_pool.h"

#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace attnd::core {
namespace {

// Work of a fixed number of tasks.
class CountedWork final : public Work {
 public:
  CountedWork(int tasks, std::function<void(int)> run, std::function<void()> finish)
      : tasks_(tasks), run_(std::move(run)), finish_(std::move(finish)) {}

  Claim ClaimTask() override {
    if (claimed_ == tasks_) return {.kind = Claim::Kind::kNoMore, .task = nullptr};
    const int task = claimed_++;
    return {.kind = Claim::Kind::kTask, .task = [this, task](Scratch&) { run_(task); }};
  }
  void Finish() override { finish_(); }

 private:
  const int tasks_;
  const std::function<void(int)> run_;
  const std::function<void()> finish_;
  int claimed_ = 0;
};

TEST(WorkerPoolTest, RunsEveryTaskOnceAndFinishesAfterTheLast) {
  constexpr int kWorks = 50;
  constexpr int kTasks = 40;
  std::atomic<int> ran = 0;
  std::atomic<int> finished = 0;
  std::atomic<int> early = 0;
  {
    WorkerPool pool(3);
    for (int i = 0; i < kWorks; ++i) {
      auto done = std::make_shared<std::atomic<int>>(0);
      pool.Add(std::make_unique<CountedWork>(
          kTasks,
          [&ran, done](int) {
            ++ran;
            ++*done;
          },
          [&finished, &early, done] {
            ++finished;
            if (*done != kTasks) ++early;
          }));
    }
  }
  EXPECT_EQ(ran, kWorks * kTasks);
  EXPECT_EQ(finished, kWorks);
  EXPECT_EQ(early, 0);
}

TEST(WorkerPoolTest, ServesAllWorkInTurn) {
  std::string order;
  absl::Notification added;
  absl::Notification finished;
  WorkerPool pool(1);
  // Holds the only worker until both works are there.
  pool.Add(std::make_unique<CountedWork>(1, [&](int) { added.WaitForNotification(); }, [] {}));
  pool.Add(std::make_unique<CountedWork>(6, [&](int) { order += 'L'; }, [&] { finished.Notify(); }));
  pool.Add(std::make_unique<CountedWork>(2, [&](int) { order += 's'; }, [&] { order += '.'; }));
  added.Notify();
  finished.WaitForNotification();
  EXPECT_EQ(order, "LsLsL.LLL");
}

TEST(WorkerPoolTest, AsksAgainWhenATaskIsDone) {
  // A first task, then nothing until it is done, then a second one.
  class TwoSteps final : public Work {
   public:
    explicit TwoSteps(absl::Notification* finished) : finished_(finished) {}
    Claim ClaimTask() override {
      if (claimed_ == 1 && !first_done_) return {.kind = Claim::Kind::kNotNow, .task = nullptr};
      if (claimed_ == 2) return {.kind = Claim::Kind::kNoMore, .task = nullptr};
      ++claimed_;
      return {.kind = Claim::Kind::kTask, .task = [this](Scratch&) { first_done_ = true; }};
    }
    void Finish() override { finished_->Notify(); }

   private:
    absl::Notification* const finished_;
    int claimed_ = 0;
    std::atomic<bool> first_done_ = false;
  };

  absl::Notification finished;
  WorkerPool pool(2);
  pool.Add(std::make_unique<TwoSteps>(&finished));
  EXPECT_TRUE(finished.WaitForNotificationWithTimeout(absl::Seconds(60)));
}

TEST(WorkerPoolTest, FinishMayAddWork) {
  absl::Notification second_finished;
  WorkerPool pool(1);
  pool.Add(std::make_unique<CountedWork>(
      1, [](int) {},
      [&] { pool.Add(std::make_unique<CountedWork>(1, [](int) {}, [&] { second_finished.Notify(); })); }));
  EXPECT_TRUE(second_finished.WaitForNotificationWithTimeout(absl::Seconds(60)));
}

// Adds a work whose end adds another, `more` times.
void AddChain(WorkerPool& pool, int more, std::atomic<int>& finished) {
  auto ran = std::make_shared<std::atomic<int>>(0);
  pool.Add(std::make_unique<CountedWork>(
      3, [ran](int) { ++*ran; },
      [&pool, &finished, ran, more] {
        EXPECT_EQ(*ran, 3);
        ++finished;
        if (more > 0) AddChain(pool, more - 1, finished);
      }));
}

TEST(WorkerPoolTest, TakesWorkFromManyThreadsWhileWorkersFinishAndAddMore) {
  constexpr int kThreads = 4;
  constexpr int kChains = 25;
  constexpr int kMore = 4;
  std::atomic<int> finished = 0;
  {
    WorkerPool pool(3);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int chain = 0; chain < kChains; ++chain) AddChain(pool, kMore, finished);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(finished, kThreads * kChains * (kMore + 1));
}

}  // namespace
}  // namespace attnd::core

#include "core/worker_pool.h"

#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <absl/time/time.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace attnd::core {
namespace {

constexpr std::array<WorkSize, 3> kSizes = {WorkSize::kBrief, WorkSize::kSmall, WorkSize::kLarge};

// Work of a fixed number of tasks.
class CountedWork final : public Work {
 public:
  CountedWork(int tasks, std::function<void(int)> run, std::function<void()> finish, WorkSize size = WorkSize::kLarge)
      : tasks_(tasks), run_(std::move(run)), finish_(std::move(finish)), size_(size) {}

  Claim ClaimTask() override {
    if (claimed_ == tasks_) return {.kind = Claim::Kind::kNoMore, .task = nullptr};
    const int task = claimed_++;
    return {.kind = Claim::Kind::kTask, .task = [this, task](Scratch&) { run_(task); }};
  }
  void Finish() override { finish_(); }
  WorkSize Size() const override { return size_; }

 private:
  const int tasks_;
  const std::function<void(int)> run_;
  const std::function<void()> finish_;
  const WorkSize size_;
  int claimed_ = 0;
};

// Holds a pool's only worker until Release, which must come.
class HeldWorker {
 public:
  explicit HeldWorker(WorkerPool& pool) {
    const auto hold = [this](int) {
      is_held_.Notify();
      released_.WaitForNotification();
    };
    pool.Add(std::make_unique<CountedWork>(1, hold, [] {}));
    is_held_.WaitForNotification();
  }
  void Release() { released_.Notify(); }

 private:
  absl::Notification is_held_;
  absl::Notification released_;
};

// With workers that sleep at once, and with such as look out for more.
class WorkerPoolTest : public testing::TestWithParam<absl::Duration> {};

INSTANTIATE_TEST_SUITE_P(Lookouts, WorkerPoolTest, testing::Values(absl::ZeroDuration(), absl::Microseconds(50)));

TEST_P(WorkerPoolTest, RunsEveryTaskOnceAndFinishesAfterTheLast) {
  constexpr int kWorks = 50;
  constexpr int kTasks = 40;
  std::atomic<int> ran = 0;
  std::atomic<int> finished = 0;
  std::atomic<int> early = 0;
  {
    WorkerPool pool(3, GetParam());
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

TEST_P(WorkerPoolTest, ServesAllWorkInTurn) {
  std::string order;
  absl::Notification finished;
  WorkerPool pool(1, GetParam());
  HeldWorker worker(pool);
  pool.Add(std::make_unique<CountedWork>(6, [&](int) { order += 'L'; }, [&] { finished.Notify(); }));
  pool.Add(std::make_unique<CountedWork>(2, [&](int) { order += 's'; }, [&] { order += '.'; }));
  worker.Release();
  finished.WaitForNotification();
  EXPECT_EQ(order, "LsLsL.LLL");
}

TEST_P(WorkerPoolTest, WorkThatIsNotLargeOvertakesLargeWorkAndIsNotCut) {
  std::string order;
  absl::Notification finished;
  WorkerPool pool(1, GetParam());
  HeldWorker worker(pool);
  pool.Add(std::make_unique<CountedWork>(3, [&](int) { order += 'L'; }, [&] { finished.Notify(); }));
  pool.Add(std::make_unique<CountedWork>(2, [&](int) { order += 's'; }, [&] { order += '.'; }, WorkSize::kSmall));
  pool.Add(std::make_unique<CountedWork>(1, [&](int) { order += 'b'; }, [&] { order += '.'; }, WorkSize::kBrief));
  worker.Release();
  finished.WaitForNotification();
  EXPECT_EQ(order, "ss.b.LLL");
}

TEST_P(WorkerPoolTest, LargeWorkIsServedBetweenManySmallWorks) {
  std::string order;
  absl::Notification finished;
  WorkerPool pool(1, GetParam());
  HeldWorker worker(pool);
  pool.Add(std::make_unique<CountedWork>(4, [&](int) { order += 'L'; }, [&] { finished.Notify(); }));
  for (int i = 0; i < 20; ++i) {
    pool.Add(std::make_unique<CountedWork>(1, [&](int) { order += 's'; }, [] {}, WorkSize::kSmall));
  }
  worker.Release();
  finished.WaitForNotification();
  EXPECT_EQ(order, "ssssssssLssssssssLssssLL");
}

TEST_P(WorkerPoolTest, AsksAgainWhenATaskIsDone) {
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
  WorkerPool pool(2, GetParam());
  pool.Add(std::make_unique<TwoSteps>(&finished));
  EXPECT_TRUE(finished.WaitForNotificationWithTimeout(absl::Seconds(60)));
}

TEST_P(WorkerPoolTest, FinishMayAddWork) {
  absl::Notification second_finished;
  WorkerPool pool(1, GetParam());
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
      },
      kSizes[more % 3]));
}

TEST_P(WorkerPoolTest, TakesWorkFromManyThreadsWhileWorkersFinishAndAddMore) {
  constexpr int kThreads = 4;
  constexpr int kChains = 25;
  constexpr int kMore = 4;
  std::atomic<int> finished = 0;
  {
    WorkerPool pool(3, GetParam());
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

TEST_P(WorkerPoolTest, RunReturnsWhenTheWorkIsFinished) {
  WorkerPool pool(2, GetParam());
  for (const WorkSize size : kSizes) {
    std::atomic<int> ran = 0;
    int ran_before_the_end = 0;
    bool finished = false;
    const auto finish = [&] {
      ran_before_the_end = ran;
      finished = true;
    };
    pool.Run(std::make_unique<CountedWork>(20, [&](int) { ++ran; }, finish, size));
    EXPECT_TRUE(finished);
    EXPECT_EQ(ran_before_the_end, 20);
  }
}

// Whether `ask` lets this thread run the task that it is given, within many attempts: a worker is idle when it has had
// time to begin, and to stop looking out.
bool RunsHere(const std::function<void(std::function<void(int)>)>& ask) {
  constexpr int kAttempts = 10'000;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::atomic<std::thread::id> ran_on;
    ask([&](int) { ran_on = std::this_thread::get_id(); });
    while (ran_on.load() == std::thread::id()) std::this_thread::yield();
    if (ran_on.load() == std::this_thread::get_id()) return true;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return false;
}

TEST_P(WorkerPoolTest, WhoWaitsStandsInForAnIdleWorker) {
  WorkerPool pool(1, GetParam());
  EXPECT_TRUE(RunsHere([&](std::function<void(int)> task) {
    pool.Run(std::make_unique<CountedWork>(1, std::move(task), [] {}, WorkSize::kBrief));
  }));
}

TEST_P(WorkerPoolTest, WhoBringsWorkThatIsNotLargeStandsInForAnIdleWorker) {
  WorkerPool pool(1, GetParam());
  for (const WorkSize size : {WorkSize::kBrief, WorkSize::kSmall}) {
    EXPECT_TRUE(RunsHere([&](std::function<void(int)> task) {
      pool.Add(std::make_unique<CountedWork>(1, std::move(task), [] {}, size));
    }));
  }
}

TEST_P(WorkerPoolTest, WhoStandsInDoesAFewMoreThatWait) {
  WorkerPool pool(1, GetParam());
  std::atomic<int> ran_here = 0;
  std::atomic<int> finished = 0;
  const auto run = [&ran_here, here = std::this_thread::get_id()](int) {
    if (std::this_thread::get_id() == here) ++ran_here;
  };
  ASSERT_TRUE(RunsHere([&](const std::function<void(int)>& task) {
    ran_here = 0;
    finished = 0;
    const auto add_more = [&](int) {
      for (int i = 0; i < 5; ++i) {
        pool.Add(std::make_unique<CountedWork>(1, run, [&] { ++finished; }, WorkSize::kSmall));
      }
      task(0);
    };
    pool.Add(std::make_unique<CountedWork>(1, add_more, [] {}, WorkSize::kSmall));
    while (finished < 5) std::this_thread::yield();
  }));
  EXPECT_EQ(ran_here, 3);
}

TEST_P(WorkerPoolTest, LargeWorkIsLeftToWorkers) {
  constexpr int kWorks = 100;
  std::atomic<int> ran_here = 0;
  {
    WorkerPool pool(2, GetParam());
    const auto run = [&ran_here, here = std::this_thread::get_id()](int) {
      if (std::this_thread::get_id() == here) ++ran_here;
    };
    for (int i = 0; i < kWorks; ++i) {
      pool.Add(std::make_unique<CountedWork>(3, run, [] {}));
      std::this_thread::sleep_for(std::chrono::microseconds(100));  // until workers are idle
    }
  }
  EXPECT_EQ(ran_here, 0);
}

TEST_P(WorkerPoolTest, SmallWorkWaitsWhereAllWorkersAreBusy) {
  absl::Notification finished;
  WorkerPool pool(1, GetParam());
  HeldWorker worker(pool);
  pool.Add(std::make_unique<CountedWork>(2, [](int) {}, [&] { finished.Notify(); }, WorkSize::kSmall));
  EXPECT_FALSE(finished.HasBeenNotified());
  worker.Release();
  EXPECT_TRUE(finished.WaitForNotificationWithTimeout(absl::Seconds(60)));
}

// While a thread that brought small work stands in for the only worker, that finds no place.
TEST_P(WorkerPoolTest, LargeWorkIsBegunWhenSmallWorkGivesItsPlaceBack) {
  WorkerPool pool(1, GetParam());
  for (int i = 0; i < 100; ++i) {
    absl::Notification finished;
    const auto add_large = [&](int) {
      pool.Add(std::make_unique<CountedWork>(1, [](int) {}, [&] { finished.Notify(); }));
    };
    pool.Add(std::make_unique<CountedWork>(1, add_large, [] {}, WorkSize::kSmall));
    EXPECT_TRUE(finished.WaitForNotificationWithTimeout(absl::Seconds(60)));
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

TEST_P(WorkerPoolTest, NoMoreThreadsComputeThanThereAreWorkers) {
  constexpr int kWorkers = 2;
  constexpr int kThreads = 5;
  std::atomic<int> computing = 0;
  std::atomic<int> most = 0;
  const auto compute = [&](int) {
    const int now = ++computing;
    int seen = most;
    while (seen < now && !most.compare_exchange_weak(seen, now)) {
    }
    std::this_thread::yield();
    --computing;
  };
  WorkerPool pool(kWorkers, GetParam());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int call = 0; call < 100; ++call) {
        pool.Run(std::make_unique<CountedWork>(7, compute, [] {}, kSizes[(call + i) % 3]));
        pool.Add(std::make_unique<CountedWork>(2, compute, [] {}, kSizes[call % 3]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most, kWorkers);
}

TEST_P(WorkerPoolTest, WorkThatWasAddedEndsWhileOthersRunTheirs) {
  constexpr int kThreads = 3;
  constexpr int kCalls = 200;
  WorkerPool pool(2, GetParam());
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int call = 0; call < kCalls; ++call) {
        absl::Notification finished;
        pool.Add(std::make_unique<CountedWork>(2, [](int) {}, [&] { finished.Notify(); }, kSizes[(call + i) % 3]));
        pool.Run(std::make_unique<CountedWork>(3, [](int) {}, [] {}, kSizes[(call + i + 1) % 3]));
        finished.WaitForNotification();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace attnd::core

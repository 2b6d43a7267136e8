#include "tests/bench/limits.h"

#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "core/aligned_buffer.h"
#include "tests/bench/gemm.h"
#include "tests/bench/vector_work.h"

namespace attnd::bench {
namespace {

// Long enough for a rate, short beside what is measured next to it.
constexpr double kSeconds = 0.05;

// 128 MiB a thread: four times the last-level cache that cores share on the largest machine that this was tried on.
constexpr std::size_t kMemoryBytes = std::size_t{128} << 20;

// Two arrays of it fit the first-level cache.
constexpr std::size_t kExponentials = 2048;
constexpr int kExponentialTimes = 128;

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// A thread's part: made once, then run again and again; a run does so many units.
struct Part {
  std::function<void()> run;
  double units = 0;
};

// A thread's own: what another has just read would come from the cache that they share.
std::shared_ptr<std::byte[]> MakeMemory() {
  std::shared_ptr<std::byte[]> memory = core::AllocateAligned(kMemoryBytes);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory.get(), 0, kMemoryBytes);
  return memory;
}

// Units a second of all threads together.
double Rate(int threads, const std::function<Part()>& make) {
  std::barrier begin(threads);
  std::vector<double> rates(static_cast<std::size_t>(threads));
  std::vector<std::thread> running;
  for (double& rate : rates) {
    running.emplace_back([&] {
      const Part part = make();
      part.run();
      begin.arrive_and_wait();
      const Clock::time_point start = Clock::now();
      double units = 0;
      do {
        part.run();
        units += part.units;
      } while (SecondsSince(start) < kSeconds);
      rate = units / SecondsSince(start);
    });
  }
  double sum = 0;
  for (std::size_t i = 0; i < running.size(); ++i) {
    running[i].join();
    sum += rates[i];
  }
  return sum;
}

}  // namespace

double ProductRate(core::ElementType type, int threads) {
  return Rate(threads, [type] {
    const auto gemm = std::make_shared<Gemm>(type);
    return Part{.run = [gemm] { gemm->Run(); }, .units = Gemm::kFloatingPointOperations};
  });
}

double ReadRate(int threads) {
  return Rate(threads, [] {
    const std::shared_ptr<std::byte[]> memory = MakeMemory();
    const auto sum = std::make_shared<volatile float>();
    const auto run = [=] { *sum = Sum(reinterpret_cast<const float*>(memory.get()), kMemoryBytes / sizeof(float)); };
    return Part{.run = run, .units = double{kMemoryBytes}};
  });
}

double WriteRate(int threads) {
  return Rate(threads, [] {
    const std::shared_ptr<std::byte[]> memory = MakeMemory();
    return Part{.run = [=] { std::memset(memory.get(), 0, kMemoryBytes); }, .units = double{kMemoryBytes}};
  });
}

double ExponentialRate(int threads) {
  return Rate(threads, [] {
    const auto numbers = std::make_shared<std::vector<float>>(kExponentials, -1.5F);
    const auto results = std::make_shared<std::vector<float>>(kExponentials);
    const auto run = [=] {
      for (int n = 0; n < kExponentialTimes; ++n) Exponentials(numbers->data(), kExponentials, results->data());
    };
    return Part{.run = run, .units = double{kExponentials * kExponentialTimes}};
  });
}

}  // namespace attnd::bench

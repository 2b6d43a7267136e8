// How fast the core computes attention on one thread, beside the rate of a large matrix product in the same run.
//
// A sample is some attention calls and then one matrix product, so that a busy neighbour slows both. "Time" is that of
// a sample's calls; the counters are those of the median sample: milliseconds of one call, and GF/s of useful work,
// which is 4·B·H·Sq·Sk·D operations and half of it under a causal mask. The matrix product is of the type that the
// kernel multiplies.
#include <benchmark/benchmark.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine.h"
#include "core/machine.h"
#include "tests/bench/gemm.h"
#include "tests/support/engine_call.h"
#include "tests/support/seed.h"

namespace attnd::bench {
namespace {

using core::ElementType;

// Calls of a sample last about as long as its matrix product.
constexpr double kCallsOfASampleSeconds = 0.05;

struct Row {
  const char* name;
  test::Sizes sizes;
  bool causal = false;
};

double UsefulOperations(const Row& row) {
  const test::Sizes& s = row.sizes;
  const double all = 4.0 * static_cast<double>(s.batch * s.query_heads * s.query_rows * s.keys * s.head_size);
  return row.causal ? all / 2 : all;
}

double SecondsOf(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> numbers) {
  const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  return *middle;
}

// The kernel's name ends with the type that it multiplies.
ElementType OperandType(std::string_view kernel) {
  for (const ElementType type : {ElementType::kBfloat16, ElementType::kFloat16}) {
    if (kernel.ends_with(std::string(core::ElementTypeName(type)))) return type;
  }
  return ElementType::kFloat32;
}

core::Engine& Engine() {
  static core::Engine engine({.worker_count = 1});
  return engine;
}

test::EngineCall MakeCall(const Row& row, ElementType type) {
  test::Random random = test::SeededRandom();
  test::AttentionCase attention = test::MakeCase({.sizes = row.sizes, .element_type = type}, random);
  if (row.causal) attention.description.mask.causal = test::Causal(core::Alignment::kTopLeft);
  attention.description.return_weights = false;
  attention.description.return_log_sum_exp = false;
  return test::EngineCall(attention);
}

void Attention(benchmark::State& state, const Row& row, ElementType type) {
  test::EngineCall call = MakeCall(row, type);
  core::Report report;
  const auto attend = [&] { report = Engine().Run(call.problem(), call.tensors()).value(); };
  attend();
  const double first_seconds = SecondsOf(attend);
  const int calls = std::max(1, static_cast<int>(kCallsOfASampleSeconds / first_seconds));
  Gemm gemm(OperandType(report.kernel));
  gemm.Run();

  std::vector<double> call_seconds, gemm_seconds;
  for (auto _ : state) {
    const double sample_seconds = SecondsOf([&] {
      for (int n = 0; n < calls; ++n) attend();
    });
    state.SetIterationTime(sample_seconds);
    call_seconds.push_back(sample_seconds / calls);
    gemm_seconds.push_back(SecondsOf([&] { gemm.Run(); }));
  }

  const double rate = UsefulOperations(row) / Median(call_seconds) / 1e9;
  const double gemm_rate = Gemm::kFloatingPointOperations / Median(gemm_seconds) / 1e9;
  state.SetLabel(report.kernel);
  state.counters["ms a call"] = Median(call_seconds) * 1e3;
  state.counters["GF/s"] = rate;
  state.counters["GEMM GF/s"] = gemm_rate;
  state.counters["of GEMM"] = rate / gemm_rate;
}

void RegisterAll() {
  const auto self = [](std::int64_t batch, std::int64_t heads, std::int64_t key_value_heads, std::int64_t length,
                       std::int64_t head_size) {
    return test::Sizes{.batch = batch,
                       .query_heads = heads,
                       .key_value_heads = key_value_heads,
                       .query_rows = length,
                       .keys = length,
                       .head_size = head_size,
                       .value_head_size = head_size};
  };
  const std::vector<Row> rows = {
      {.name = "B8 H12 S512 D64", .sizes = self(8, 12, 12, 512, 64)},
      {.name = "B1 H32 S2048 D128 causal", .sizes = self(1, 32, 32, 2048, 128), .causal = true},
      {.name = "B1 H32 KV8 S1024 D128 causal", .sizes = self(1, 32, 8, 1024, 128), .causal = true},
      {.name = "B1 H8 S64 D64", .sizes = self(1, 8, 8, 64, 64)},
      {.name = "B3 H12 S15 D32", .sizes = self(3, 12, 12, 15, 32)},  // a layer of MiniLM
  };
  for (const Row& row : rows) {
    for (const ElementType type : {ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16}) {
      const std::string name = std::string(row.name) + " " + std::string(core::ElementTypeName(type));
      benchmark::RegisterBenchmark(name, [=](benchmark::State& state) { Attention(state, row, type); })
          ->UseManualTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
}

// Keeps the engine's worker and the matrix product on one CPU, so that they meet the same neighbours.
void StayOnThisCpu() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(sched_getcpu(), &cpus);
  if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0) std::perror("sched_setaffinity");
}

}  // namespace
}  // namespace attnd::bench

int main(int argc, char** argv) {
  attnd::bench::StayOnThisCpu();
  benchmark::AddCustomContext("oneDNN", attnd::core::OnednnVersion() + " on " + attnd::core::OnednnInstructionSet());
  benchmark::AddCustomContext("Highway", attnd::core::VectorInstructionSet());
  attnd::bench::RegisterAll();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}

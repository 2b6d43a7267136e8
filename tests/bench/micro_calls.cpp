// What a call of a small problem costs before anything is computed: checks, plan, and the way to a worker and back.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "core/engine.h"
#include "core/kernels/kernel_list.h"
#include "core/plan.h"
#include "core/problem.h"
#include "tests/bench/micro_bench.h"
#include "tests/bench/micro_inputs.h"

namespace attnd::bench {
namespace {

using core::ElementType;

void Check(benchmark::State& state, const core::ProblemDescription& description) {
  for (auto _ : state) benchmark::DoNotOptimize(core::CheckProblem(description, {}));
}

void Plan(benchmark::State& state, const core::ProblemDescription& description) {
  const core::Problem problem = core::CheckProblem(description, {}).value();
  const auto products = core::kernels::ChooseProducts(description.query.element_type);
  for (auto _ : state) {
    benchmark::DoNotOptimize(core::MakePlan(problem, products->operand_type(), products->size_step()));
  }
}

// By an engine with one worker, which sleeps until the call comes.
void Call(benchmark::State& state, const core::ProblemDescription& description) {
  const core::Problem problem = core::CheckProblem(description, {}).value();
  const std::int64_t size_bytes = problem.answer[core::Output::kOutput].size_bytes;  // of each tensor
  const core::AlignedBuffer elements =
      RandomElements(ElementType::kFloat32, size_bytes / static_cast<std::int64_t>(sizeof(float)));
  const core::AlignedBuffer output = core::AllocateAligned(static_cast<std::size_t>(size_bytes));
  core::Engine engine({.worker_count = 1});
  for (auto _ : state) {
    const auto report = engine.Run(
        problem, {.query = elements.get(), .key = elements.get(), .value = elements.get(), .output = output.get()});
    if (!report.ok()) return state.SkipWithError(report.status().ToString());
  }
}

}  // namespace

void RegisterCalls() {
  core::ProblemDescription smallest = Describe({.head_size = 16});
  core::ProblemDescription minilm = Describe({.batch = 3, .heads = 12, .length = 15, .head_size = 32});
  minilm.mask.key_lengths = {{15, 9, 12}};  // the batch is of sentences, which differ in length
  const auto add = [](const std::string& name, void (*run)(benchmark::State&, const core::ProblemDescription&),
                      const core::ProblemDescription& description) {
    return benchmark::RegisterBenchmark(name, [=](benchmark::State& state) { run(state, description); });
  };
  for (const auto& [name, description] : {std::pair{"B1 H1 S1 D16", smallest}, std::pair{"B3 H12 S15 D32", minilm}}) {
    add(std::string("check ") + name, Check, description);
    add(std::string("plan ") + name, Plan, description);
    // The caller waits while a worker computes, so processor time would tell only half of it.
    add(std::string("call ") + name, Call, description)->UseRealTime()->Unit(benchmark::kMicrosecond);
  }
}

}  // namespace attnd::bench

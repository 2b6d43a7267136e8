// What micro-benchmarks work on, and how they say how fast they were.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/kernels/products.h"
#include "core/problem.h"
#include "core/tensor.h"

namespace attnd::bench {

// Normally distributed, the same in every run. Packing only changes the order of elements, so these are as good as
// packed ones for what has to be fast but not right.
core::AlignedBuffer RandomElements(core::ElementType type, std::int64_t count);

// All implementations of the products that this machine has.
std::vector<std::shared_ptr<core::kernels::Products>> AllProducts();

// Self-attention without masks.
struct SelfAttention {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t length = 1;
  std::int64_t head_size = 1;
  core::ElementType element_type = core::ElementType::kFloat32;
};
core::ProblemDescription Describe(const SelfAttention& sizes);

// Reports a rate: `count_an_iteration` of `unit` in each iteration.
void ReportRate(benchmark::State& state, const char* unit, double count_an_iteration);

}  // namespace attnd::bench

#include "tests/bench/micro_inputs.h"

#include <random>

#include "core/kernels/kernel_list.h"
#include "core/kernels/softmax.h"

namespace attnd::bench {

using core::ElementType;

core::AlignedBuffer RandomElements(ElementType type, std::int64_t count) {
  std::mt19937 random;
  std::normal_distribution<float> normal;
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& number : numbers) number = normal(random);
  core::AlignedBuffer elements = core::AllocateAligned(numbers.size() * core::ElementSizeBytes(type));
  core::kernels::FromFloat32(numbers.data(), count, type, elements.get());
  return elements;
}

std::vector<std::shared_ptr<core::kernels::Products>> AllProducts() {
  std::vector<std::shared_ptr<core::kernels::Products>> all = {core::kernels::MakeMatmulProducts()};
  for (const ElementType type : {ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16}) {
    if (std::shared_ptr<core::kernels::Products> products = core::kernels::MakeBrgemmProducts(type)) {
      all.push_back(products);
    }
  }
  return all;
}

core::ProblemDescription Describe(const SelfAttention& sizes) {
  const core::TensorDescription tensor{sizes.element_type, {sizes.batch, sizes.heads, sizes.length, sizes.head_size}};
  const std::int64_t size_bytes = core::SizeBytes(tensor, "tensor").value();
  return {.query = tensor, .key = tensor, .value = tensor, .size_bytes = {{size_bytes, size_bytes, size_bytes}}};
}

void ReportRate(benchmark::State& state, const char* unit, double count_an_iteration) {
  state.counters[unit] = benchmark::Counter(count_an_iteration, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace attnd::bench

// Hundreds of small problems at random: shapes, layouts, types, masks, options and placements all mixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tests/support/draws.h"
#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

using core::ElementType;

// Half of all dimensions are those of the weights, the others 1; leading ones may be left out.
core::Shape MaskShape(const Sizes& sizes, int rank, Random& random) {
  core::Shape weights = {sizes.batch, sizes.query_heads, sizes.query_rows, sizes.keys};
  if (rank == 3) weights = {sizes.batch, sizes.query_rows, sizes.keys};
  if (rank == 2) weights = {sizes.query_rows, sizes.keys};
  core::Shape shape(weights.begin() + Between(0, rank, random), weights.end());
  for (std::int64_t& size : shape) {
    if (Chance(0.5, random)) size = 1;
  }
  return shape;
}

AttentionCase RandomCase(ElementType type, Random& random) {
  CaseOptions options;
  options.element_type = type;
  options.rank = static_cast<int>(Between(2, 4, random));
  Sizes& sizes = options.sizes;
  sizes = {.query_rows = QueryRows(0.15, random),
           .keys = Keys(0.15, random),
           .head_size = Between(1, 96, random),
           .value_head_size = Between(1, 96, random)};
  if (options.rank > 2) sizes.batch = Between(1, 3, random);
  if (options.rank == 4) {
    sizes.key_value_heads = Between(1, 3, random);
    sizes.query_heads = sizes.key_value_heads * Between(1, 3, random);
    options.layout = Chance(0.5, random) ? core::Layout::kBshd : core::Layout::kBhsd;
  }
  options.spread = std::exp(std::normal_distribution<double>(0, 0.7)(random));
  // The error of a 16-bit result is held against that of a model: with few elements the model's may be small by luck.
  if (type != ElementType::kFloat32) sizes.value_head_size = std::max<std::int64_t>(sizes.value_head_size, 32);

  AttentionCase attention = MakeCase(options, random);
  core::ProblemDescription& description = attention.description;
  if (Chance(0.3, random)) description.scale = std::normal_distribution<double>(0, 0.3)(random);
  if (Chance(0.4, random)) {
    description.mask.causal = Causal(Chance(0.5, random) ? core::Alignment::kTopLeft : core::Alignment::kBottomRight);
  }
  if (Chance(0.4, random)) {
    description.mask.key_lengths.emplace();
    for (std::int64_t b = 0; b < sizes.batch; ++b)
      description.mask.key_lengths->push_back(Between(0, sizes.keys, random));
  }
  if (Chance(0.4, random)) AddBooleanMask(attention, MaskShape(sizes, options.rank, random), 0.7, random);
  if (Chance(0.4, random)) description.empty_row = core::EmptyRow::kMeanOfAllValues;
  description.return_weights = Chance(0.5, random);
  description.return_log_sum_exp = Chance(0.5, random);
  return attention;
}

class SweepTest : public ::testing::TestWithParam<ElementType> {};
INSTANTIATE_TEST_SUITE_P(Sweep, SweepTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

TEST_P(SweepTest, RandomProblems) {
  Random random = SeededRandom();
  core::Engine engine(core::EngineOptions{.worker_count = 2});
  for (int n = 0; n < 200 && !HasFailure(); ++n) {
    const AttentionCase attention = RandomCase(GetParam(), random);
    SCOPED_TRACE("problem " + std::to_string(n));
    ExpectCorrect(attention, Attend(engine, attention,
                                    Chance(0.5, random) ? EngineCall::Placement::kAligned
                                                        : EngineCall::Placement::kOneElementPastAligned));
  }
}

}  // namespace
}  // namespace attnd::test

// All masks and modifiers combine: any of them together, against the definition in float64. A failure names the options
// that met.
#include "tests/support/combinations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/plan.h"
#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

using core::ElementType;

class CombinationTest : public ::testing::TestWithParam<ElementType> {
 protected:
  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(Combinations, CombinationTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

// The tiles that there are, and those of which some pair is visible.
struct TileCounts {
  std::int64_t all = 0;
  std::int64_t visible = 0;
};

TileCounts CountTiles(const AttentionCase& attention) {
  const core::ProblemDescription& description = attention.description;
  const Sizes sizes = SizesOf(description);
  TileCounts counts;
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    const Entry entry = EntryOf(description, b);
    const std::int64_t query_tiles = (entry.query_rows + core::kQueryTileRows - 1) / core::kQueryTileRows;
    const std::int64_t key_tiles = (entry.keys + core::kKeyTileKeys - 1) / core::kKeyTileKeys;
    for (std::int64_t h = 0; h < sizes.query_heads; ++h) {
      std::vector<bool> visible(static_cast<std::size_t>(query_tiles * key_tiles));
      for (std::int64_t i = 0; i < entry.query_rows; ++i) {
        for (const std::int64_t j : VisibleKeys(attention, b, h, i)) {
          visible[static_cast<std::size_t>(i / core::kQueryTileRows * key_tiles + j / core::kKeyTileKeys)] = true;
        }
      }
      counts.all += query_tiles * key_tiles;
      counts.visible += std::count(visible.begin(), visible.end(), true);
    }
  }
  return counts;
}

TEST_P(CombinationTest, OfAnyOptionsAreRight) {
  core::Engine engine(core::EngineOptions{.worker_count = 2});
  for (int n = 0; n < 150 && !HasFailure(); ++n) {
    const AttentionCase attention = RandomCombination(GetParam(), n % 3 == 0, random_);
    SCOPED_TRACE("problem " + std::to_string(n));
    ExpectCorrect(attention,
                  Attend(engine, attention,
                         n % 2 == 0 ? EngineCall::Placement::kAligned : EngineCall::Placement::kOneElementPastAligned));
  }
}

// Neither a hidden tile is computed nor one skipped that shows a pair, whatever hides it.
TEST_P(CombinationTest, SkipExactlyTheHiddenTiles) {
  for (int n = 0; n < 100 && !HasFailure(); ++n) {
    const AttentionCase attention = RandomCombination(GetParam(), n % 3 == 0, random_);
    EngineCall call(attention);
    const absl::StatusOr<core::Report> report = SharedEngine().Run(call.problem(), call.tensors());
    ASSERT_TRUE(report.ok()) << report.status();
    const TileCounts counts = CountTiles(attention);
    EXPECT_EQ(report->computed_tiles, counts.visible) << ToString(attention);
    EXPECT_EQ(report->computed_tiles + report->skipped_tiles, counts.all) << ToString(attention);
  }
}

// What is hidden is not read: neither NaN nor infinities there come through.
TEST_P(CombinationTest, DoNotReadWhatIsHidden) {
  for (int n = 0; n < 60 && !HasFailure(); ++n) {
    AttentionCase attention = RandomCombination(GetParam(), n % 3 == 0, random_);
    // The mean is of hidden values as well.
    attention.description.empty_row = core::EmptyRow::kZero;
    const auto expected = AttendForBytes(SharedEngine(), attention);
    HideNonFinite(attention);
    EXPECT_TRUE(AttendForBytes(SharedEngine(), attention) == expected) << ToString(attention);
  }
}

}  // namespace
}  // namespace attnd::test

// What counts: a problem that is cut, computed piece by piece and put together again, against the same computed whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "client/cpp/assembly.h"
#include "client/cpp/cuts.h"
#include "client/cpp/piece_request.h"
#include "tests/client/cpp/local_attention.h"
#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

bool HasKeyRanges(const std::vector<Piece>& pieces) { return std::ranges::any_of(pieces, &Piece::is_key_range); }

std::vector<Piece> CutOf(const AttendRequest& request, std::int64_t limit_bytes) {
  return Cut(request, SizesOf(request).value(), limit_bytes);
}

AttendResult AttendInPieces(const AttendRequest& request, const std::vector<Piece>& pieces) {
  const ProblemSizes sizes = SizesOf(request).value();
  Assembly assembly = Assembly::Create(request, sizes).value();
  for (const Piece& piece : pieces) {
    const PieceRequest part = RequestOf(request, sizes, piece).value();
    const absl::Status status = assembly.Add(piece, AttendLocally(SharedEngine(), part.request));
    EXPECT_TRUE(status.ok()) << status;
  }
  return assembly.Take();
}

// A limit under which the problem takes some pieces, but not thousands.
std::int64_t RandomLimit(const AttendRequest& request, Random& random) {
  const auto whole = static_cast<double>(MessageSizeBytes(request, WholeProblem(SizesOf(request).value())));
  return static_cast<std::int64_t>(whole / std::exp2(std::uniform_real_distribution<double>(0, 6)(random))) + 2048;
}

TEST(CutResultTest, HasTheBitsOfTheWholeUnlessKeysAreCut) {
  Random random = SeededRandom();
  int cut = 0;
  for (int n = 0; n < 250; ++n) {
    const AttentionCase attention = RandomCase(random);
    const LocalProblem problem(attention);
    const auto limit_bytes = RandomLimit(problem.request(), random);
    const auto pieces = CutOf(problem.request(), limit_bytes);
    if (HasKeyRanges(pieces)) continue;
    if (pieces.size() > 1) ++cut;
    const AttendResult whole = AttendLocally(SharedEngine(), problem.request());
    const AttendResult parts = AttendInPieces(problem.request(), pieces);
    ASSERT_EQ(BytesOf(parts), BytesOf(whole)) << ToString(attention) << " in messages of " << limit_bytes;
    ASSERT_EQ(parts.report.empty_rows, whole.report.empty_rows) << ToString(attention);
    ASSERT_EQ(parts.report.kernel, whole.report.kernel);
  }
  EXPECT_GT(cut, 50);
}

// Long enough that keys before the window are left out, and that a piece's rows stand far from its first key.
TEST(CutResultTest, HasTheBitsOfTheWholeWhereKeysBeforeAWindowAreLeftOut) {
  Random random = SeededRandom();
  AttentionCase attention =
      MakeCase({.sizes = {.query_rows = 300, .keys = 14000, .head_size = 4, .value_head_size = 3}, .rank = 2}, random);
  core::ProblemDescription& description = attention.description;
  description.return_weights = false;
  description.positions.alignment = core::Alignment::kBottomRight;
  description.mask.window = core::WindowOptions{.left = 700, .right = 0};
  description.modifiers.alibi_slopes = {{0.01F}};
  AddBias(attention, core::ElementType::kFloat32, {1, 14000}, 0.1, random);
  AddBlockMask(attention, 48, 100, 0.8, random);
  const LocalProblem problem(attention);
  const auto pieces = CutOf(problem.request(), 60'000);
  EXPECT_GT(pieces.size(), 1);
  for (const Piece& piece : pieces) EXPECT_GT(piece.keys.begin, 0);
  EXPECT_FALSE(HasKeyRanges(pieces));
  EXPECT_EQ(BytesOf(AttendInPieces(problem.request(), pieces)),
            BytesOf(AttendLocally(SharedEngine(), problem.request())));
}

TEST(CutResultTest, IsWithinTheErrorBoundWhereKeysAreCut) {
  Random random = SeededRandom();
  int cut = 0;
  while (cut < 30) {
    const AttentionCase attention = RandomCase(random);
    const LocalProblem problem(attention);
    const auto pieces = CutOf(problem.request(), RandomLimit(problem.request(), random));
    if (!HasKeyRanges(pieces)) continue;
    ++cut;
    ExpectCorrect(attention, ToAnswer(AttendInPieces(problem.request(), pieces)));
  }
}

}  // namespace
}  // namespace attnd::test

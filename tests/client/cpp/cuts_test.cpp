// Into which pieces a problem is cut: they are the whole, they fit a message, and they are no finer than they must be.
#include "client/cpp/cuts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/client/cpp/local_attention.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

const char kMemory = 0;  // is not read

TensorView View(Shape shape, ElementType type = ElementType::kFloat32) { return {type, std::move(shape), &kMemory}; }

AttendRequest Request(const Shape& query, const Shape& key_and_value) {
  return {.query = View(query), .key = View(key_and_value), .value = View(key_and_value)};
}

std::vector<Piece> CutOf(const AttendRequest& request, std::int64_t limit_bytes) {
  return Cut(request, SizesOf(request).value(), limit_bytes);
}

// Each range once, in the order of the pieces.
std::vector<Range> RangesOf(const std::vector<Piece>& pieces, Range Piece::* dimension) {
  std::vector<Range> ranges;
  for (const Piece& piece : pieces) {
    if (std::ranges::find(ranges, piece.*dimension) == ranges.end()) ranges.push_back(piece.*dimension);
  }
  return ranges;
}

TEST(CutsTest, WhatFitsIsOnePiece) {
  const auto pieces = CutOf(Request({2, 4, 64, 32}, {2, 4, 64, 32}), kMiB);
  ASSERT_EQ(pieces.size(), 1);
  EXPECT_EQ(pieces[0].batch, (Range{0, 2}));
  EXPECT_EQ(pieces[0].query_heads, (Range{0, 4}));
  EXPECT_EQ(pieces[0].keys, (Range{0, 64}));
}

TEST(CutsTest, ByBatchEntriesFirst) {
  // 3 · 128 KiB an entry: two fit a MiB, and five are two, two and one.
  const auto pieces = CutOf(Request({5, 8, 64, 64}, {5, 8, 64, 64}), kMiB);
  EXPECT_THAT(RangesOf(pieces, &Piece::batch), ElementsAre(Range{0, 2}, Range{2, 4}, Range{4, 5}));
  EXPECT_THAT(RangesOf(pieces, &Piece::query_heads), ElementsAre(Range{0, 8}));
}

TEST(CutsTest, PiecesAreOfAboutTheSameSize) {
  // 48 KiB an entry: 21 fit, but 30 are twice 15.
  const auto pieces = CutOf(Request({30, 1, 64, 64}, {30, 1, 64, 64}), kMiB);
  EXPECT_THAT(RangesOf(pieces, &Piece::batch), ElementsAre(Range{0, 15}, Range{15, 30}));
}

TEST(CutsTest, ThenByKeyAndValueHeadsWithTheirQueryHeads) {
  // 64 KiB a query head, 128 KiB a key and value head.
  const auto pieces = CutOf(Request({2, 12, 256, 64}, {2, 6, 256, 64}), kMiB);
  EXPECT_THAT(RangesOf(pieces, &Piece::batch), ElementsAre(Range{0, 1}, Range{1, 2}));
  EXPECT_THAT(RangesOf(pieces, &Piece::key_value_heads), ElementsAre(Range{0, 3}, Range{3, 6}));
  EXPECT_THAT(RangesOf(pieces, &Piece::query_heads), ElementsAre(Range{0, 6}, Range{6, 12}));
}

TEST(CutsTest, ThenByQueryHeadsOfAGroup) {
  // 256 KiB a query head, 512 KiB a key and value head.
  const auto pieces = CutOf(Request({1, 6, 1024, 64}, {1, 2, 1024, 64}), kMiB);
  EXPECT_THAT(RangesOf(pieces, &Piece::key_value_heads), ElementsAre(Range{0, 1}, Range{1, 2}));
  EXPECT_THAT(RangesOf(pieces, &Piece::query_heads),
              ElementsAre(Range{0, 1}, Range{1, 2}, Range{2, 3}, Range{3, 4}, Range{4, 5}, Range{5, 6}));
  EXPECT_THAT(RangesOf(pieces, &Piece::query_rows), ElementsAre(Range{0, 1024}));
}

TEST(CutsTest, ThenByQueryRows) {
  // 768 KiB for keys and values, and room for less than 1024 rows of 256 bytes.
  const auto pieces = CutOf(Request({4000, 64}, {1536, 64}), kMiB);
  EXPECT_THAT(RangesOf(pieces, &Piece::query_rows),
              ElementsAre(Range{0, 832}, Range{832, 1664}, Range{1664, 2496}, Range{2496, 3328}, Range{3328, 4000}));
  EXPECT_THAT(RangesOf(pieces, &Piece::keys), ElementsAre(Range{0, 1536}));
}

TEST(CutsTest, ByKeysOnlyWhereNot64RowsFitBesideThem) {
  // 1020 KiB for keys and values leave room for 12 rows.
  const auto pieces = CutOf(Request({100, 64}, {2040, 64}), kMiB);
  EXPECT_THAT(RangesOf(pieces, &Piece::keys), ElementsAre(Range{0, 1024}, Range{1024, 2040}));
  EXPECT_THAT(RangesOf(pieces, &Piece::query_rows), ElementsAre(Range{0, 100}));
  EXPECT_TRUE(pieces[0].is_key_range());
  // Ten rows fit.
  EXPECT_EQ(CutOf(Request({10, 64}, {2040, 64}), kMiB).size(), 1);
}

TEST(CutsTest, KeysAreSentOnceForAllQueryHeadsOfAGroup) {
  const auto pieces = CutOf(Request({1, 32, 1, 128}, {1, 8, 32768, 128}), 8 * kMiB);
  EXPECT_EQ(RangesOf(pieces, &Piece::query_heads).size(), 8);
  EXPECT_EQ(pieces[0].query_heads, (Range{0, 4}));
  EXPECT_EQ(pieces.size(), 8 * 5);
}

TEST(CutsTest, AnswersAreToFitToo) {
  AttendRequest request = Request({4, 1, 256, 8}, {4, 1, 256, 8});
  EXPECT_EQ(CutOf(request, kMiB).size(), 1);
  request.return_weights = true;  // 256 KiB an entry
  EXPECT_EQ(CutOf(request, kMiB).size(), 2);
}

TEST(CutsTest, KeysThatNoRowSeesAreLeftOut) {
  AttendRequest request = Request({4096, 64}, {4096, 64});
  request.mask.causal = CausalAlignment::kTopLeft;
  request.mask.key_lengths = {{3000}};
  const auto pieces = CutOf(request, 2 * kMiB);
  EXPECT_EQ(pieces.size(), 2);
  for (const Piece& piece : pieces) {
    EXPECT_EQ(piece.keys, (Range{0, std::min<std::int64_t>(piece.query_rows.end, 3000)}));
  }
  // What an empty row means needs all of them.
  request.empty_row = EmptyRow::kMeanOfAllValues;
  request.mask.boolean = View({1, 4096}, ElementType::kBool);
  for (const Piece& piece : CutOf(request, 3 * kMiB)) EXPECT_EQ(piece.keys_of_rows, (Range{0, 4096}));
}

TEST(CutsTest, KeysBeforeAWindowAreLeftOut) {
  // 16 MiB of keys and values, of which 64 rows see 1 MiB.
  AttendRequest request = Request({1 << 15, 64}, {1 << 15, 64});
  request.mask.causal = CausalAlignment::kTopLeft;
  request.mask.window = SlidingWindow{.left = 2000};
  const auto pieces = CutOf(request, 6 * kMiB);
  EXPECT_EQ(pieces.front().keys.begin, 0);
  EXPECT_EQ(pieces.back().keys, (Range{(pieces.back().query_rows.begin - 2000) / 4096 * 4096, 1 << 15}));
  for (const Piece& piece : pieces) {
    EXPECT_FALSE(piece.is_key_range());
    EXPECT_GT(piece.query_rows.size(), 64);
    EXPECT_EQ(piece.keys.begin % 4096, 0);
  }
  // Not where a row may need all of them.
  request.empty_row = EmptyRow::kMeanOfAllValues;
  EXPECT_GT(CutOf(request, 6 * kMiB).back().keys.begin, 0);
  request.mask.key_lengths = {{20000}};
  EXPECT_EQ(CutOf(request, 6 * kMiB).back().keys_of_rows, (Range{0, 1 << 15}));
}

TEST(CutsTest, PaddingTakesOneKey) {
  AttendRequest request = Request({4096, 64}, {4096, 64});
  request.mask.query_lengths = {{1000}};
  const auto pieces = CutOf(request, 3 * kMiB);
  EXPECT_EQ(pieces.front().keys, (Range{0, 4096}));
  EXPECT_GE(pieces.back().query_rows.begin, 1000);
  EXPECT_EQ(pieces.back().keys, (Range{0, 1}));
}

TEST(CutsTest, SizesOf64Bits) {
  // 48 TiB: 64 GiB an entry and tensor, 4 GiB a head.
  const auto pieces = CutOf(Request({256, 16, 1 << 24, 64}, {256, 16, 1 << 24, 64}), std::int64_t{13} << 30);
  EXPECT_EQ(pieces.size(), 256 * 16);
  EXPECT_FALSE(pieces[0].is_key_range());
}

// --- Whatever the problem and the limit ---

// The rows of a query head, as numbers.
std::int64_t RowNumber(const ProblemSizes& sizes, std::int64_t b, std::int64_t h, std::int64_t i) {
  return (b * sizes.query_heads + h) * sizes.query_rows + i;
}

// How many pieces each row is in, counting those that differ in their keys as one; fails where those leave a gap.
std::vector<int> CountPiecesOfRows(const ProblemSizes& sizes, const std::vector<Piece>& pieces) {
  std::vector<int> counts(static_cast<std::size_t>(sizes.batch * sizes.query_heads * sizes.query_rows));
  std::optional<std::int64_t> next_key;
  for (const Piece& piece : pieces) {
    EXPECT_EQ(piece.keys.begin, next_key.value_or(piece.keys_of_rows.begin));
    next_key = piece.keys.end;
    if (piece.keys.end < piece.keys_of_rows.end) continue;
    next_key.reset();
    for (std::int64_t b = piece.batch.begin; b < piece.batch.end; ++b) {
      for (std::int64_t h = piece.query_heads.begin; h < piece.query_heads.end; ++h) {
        for (std::int64_t i = piece.query_rows.begin; i < piece.query_rows.end; ++i) {
          ++counts[static_cast<std::size_t>(RowNumber(sizes, b, h, i))];
        }
      }
    }
  }
  EXPECT_FALSE(next_key.has_value());
  return counts;
}

// A piece that a limit cannot make smaller.
bool IsSmallest(const Piece& piece) {
  return piece.batch.size() == 1 && piece.query_heads.size() == 1 && piece.query_rows.size() <= 64 &&
         piece.keys.size() <= 256;
}

bool KeysGoWithTheirQueries(const ProblemSizes& sizes, const Piece& piece) {
  const std::int64_t queries = sizes.query_heads_per_group();
  const bool whole_groups =
      piece.query_heads == Range{piece.key_value_heads.begin * queries, piece.key_value_heads.end * queries};
  const bool in_one_group = piece.key_value_heads.size() == 1 &&
                            piece.query_heads.begin / queries == piece.key_value_heads.begin &&
                            (piece.query_heads.end - 1) / queries == piece.key_value_heads.begin;
  return whole_groups || in_one_group;
}

bool RowsSeeNoOtherKeys(const AttendRequest& request, const ProblemSizes& sizes, const Piece& piece) {
  for (std::int64_t b = piece.batch.begin; b < piece.batch.end; ++b) {
    const std::int64_t end = std::min(piece.query_rows.end, QueryLength(request, sizes, b));
    for (std::int64_t i = piece.query_rows.begin; i < end; ++i) {
      const Range visible = VisibleKeys(request, sizes, b, i);
      if (visible.size() == 0) continue;
      if (visible.begin < piece.keys_of_rows.begin || visible.end > piece.keys_of_rows.end) return false;
    }
  }
  return true;
}

TEST(CutsTest, EachRowIsInOnePieceAndEachPieceFits) {
  Random random = SeededRandom();
  std::set<std::string> kinds;
  for (int n = 0; n < 300; ++n) {
    const AttentionCase attention = RandomCase(random);
    const LocalProblem problem(attention);
    const AttendRequest& request = problem.request();
    const ProblemSizes sizes = SizesOf(request).value();
    const std::int64_t whole_bytes = MessageSizeBytes(request, WholeProblem(sizes));
    const std::int64_t limit_bytes = std::uniform_int_distribution<std::int64_t>(2048, whole_bytes + 1)(random);
    const auto pieces = Cut(request, sizes, limit_bytes);
    SCOPED_TRACE(ToString(attention) + " in messages of " + std::to_string(limit_bytes));

    EXPECT_THAT(CountPiecesOfRows(sizes, pieces), ::testing::Each(1));
    for (const Piece& piece : pieces) {
      EXPECT_TRUE(MessageSizeBytes(request, piece) <= limit_bytes || IsSmallest(piece));
      EXPECT_TRUE(KeysGoWithTheirQueries(sizes, piece));
      EXPECT_TRUE(RowsSeeNoOtherKeys(request, sizes, piece));
      EXPECT_TRUE(piece.keys.begin % 256 == 0 && piece.query_rows.begin % 64 == 0);
      if (piece.is_key_range())
        kinds.insert("keys");
      else if (piece.query_rows.size() < sizes.query_rows)
        kinds.insert("rows");
      else if (piece.query_heads.size() < piece.key_value_heads.size() * sizes.query_heads_per_group())
        kinds.insert("heads");
      else if (piece.key_value_heads.size() < sizes.key_value_heads)
        kinds.insert("groups");
      else if (piece.batch.size() < sizes.batch)
        kinds.insert("batch");
    }
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_THAT(kinds, ElementsAre("batch", "groups", "heads", "keys", "rows"));
}

}  // namespace
}  // namespace attnd::test

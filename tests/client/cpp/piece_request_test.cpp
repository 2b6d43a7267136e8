// A piece's own request: which tensors it copies, and how its masks stand.
#include "client/cpp/piece_request.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace attnd {
namespace {

// One batch entry's query rows 64 to 128 and keys 256 to 512, of 1000 keys.
Piece RowsAndKeys(std::int64_t batch) {
  return {.batch = {batch, batch + 1},
          .query_heads = {0, 1},
          .key_value_heads = {0, 1},
          .query_rows = {64, 128},
          .keys = {256, 512},
          .keys_of_rows = {0, 1000}};
}

class PieceRequestTest : public ::testing::Test {
 protected:
  // [2, 200, 4] and [2, 1000, 4].
  AttendRequest Request(ElementType type = ElementType::kFloat32) const {
    return {.query = {type, {2, 200, 4}, elements_.data()},
            .key = {type, {2, 1000, 4}, elements_.data()},
            .value = {type, {2, 1000, 4}, elements_.data()}};
  }
  static PieceRequest RequestOf(const AttendRequest& whole, const Piece& piece) {
    return attnd::RequestOf(whole, SizesOf(whole).value(), piece).value();
  }

  std::vector<float> elements_ = std::vector<float>(2000 * 4);
};

TEST_F(PieceRequestTest, RefersToTheTensorsWhereTheyLie) {
  const PieceRequest part = RequestOf(Request(), RowsAndKeys(1));
  EXPECT_TRUE(part.copies.empty());
  EXPECT_EQ(part.request.query.shape, (Shape{1, 64, 4}));
  EXPECT_EQ(part.request.query.data, &elements_[(200 + 64) * 4]);
  EXPECT_EQ(part.request.key.shape, (Shape{1, 256, 4}));
  EXPECT_EQ(part.request.key.data, &elements_[(1000 + 256) * 4]);
}

TEST_F(PieceRequestTest, CopiesWhatLiesApart) {
  const AttendRequest whole = {.query = {ElementType::kFloat32, {1, 10, 2, 4}, elements_.data()},
                               .key = {ElementType::kFloat32, {1, 10, 2, 4}, elements_.data()},
                               .value = {ElementType::kFloat32, {1, 10, 2, 4}, elements_.data()},
                               .layout = Layout::kBshd};
  const Piece piece = {.batch = {0, 1},
                       .query_heads = {1, 2},
                       .key_value_heads = {1, 2},
                       .query_rows = {0, 10},
                       .keys = {0, 10},
                       .keys_of_rows = {0, 10}};
  const PieceRequest part = RequestOf(whole, piece);
  EXPECT_EQ(part.copies.size(), 3);
  EXPECT_EQ(part.request.layout, Layout::kBshd);
  EXPECT_EQ(part.request.key.shape, (Shape{1, 10, 1, 4}));
}

TEST_F(PieceRequestTest, TheDiagonalMovesWithRowsAndKeys) {
  AttendRequest whole = Request();
  whole.mask.causal = CausalAlignment::kBottomRight;
  const PieceRequest aligned = RequestOf(whole, RowsAndKeys(0));
  EXPECT_EQ(aligned.request.mask.causal, std::nullopt);
  EXPECT_EQ(aligned.request.mask.causal_offsets, (std::vector<std::int64_t>{800 + 64 - 256}));
  whole.mask = {.causal_offsets = {{5, -7}}};
  EXPECT_EQ(RequestOf(whole, RowsAndKeys(1)).request.mask.causal_offsets, (std::vector<std::int64_t>{-7 + 64 - 256}));
}

TEST_F(PieceRequestTest, LengthsAreThoseOfItsKeys) {
  AttendRequest whole = Request();
  for (const auto& [length, of_piece] : {std::pair(1000, 256), {512, 256}, {300, 44}, {256, 0}, {0, 0}}) {
    whole.mask.key_lengths = {{1, length}};
    EXPECT_EQ(RequestOf(whole, RowsAndKeys(1)).request.mask.key_lengths, (std::vector<std::int64_t>{of_piece}));
  }
}

TEST_F(PieceRequestTest, ABooleanMaskIsCutWhereItIsNotBroadcast) {
  AttendRequest whole = Request();
  const std::vector<char> mask(2 * 200 * 1000, 1);
  const auto shape_of_part = [&](const Shape& shape) {
    whole.mask.boolean = TensorView{ElementType::kBool, shape, mask.data()};
    return RequestOf(whole, RowsAndKeys(1)).request.mask.boolean->shape;
  };
  EXPECT_EQ(shape_of_part({2, 200, 1000}), (Shape{1, 64, 256}));
  EXPECT_EQ(shape_of_part({1, 1, 1000}), (Shape{1, 1, 256}));
  EXPECT_EQ(shape_of_part({200, 1}), (Shape{64, 1}));
  EXPECT_EQ(shape_of_part({1000}), (Shape{256}));
}

// Its first column is one: as it is it would be taken for one that stands for all keys.
TEST_F(PieceRequestTest, AMaskThatReachesOneKeyOfAPieceIsNotBroadcast) {
  AttendRequest whole = Request(ElementType::kBfloat16);
  const std::vector<char> mask(257, 1);
  whole.mask.boolean = TensorView{ElementType::kBool, {257}, mask.data()};
  const std::vector<std::uint16_t> bias(200 * 256, 0);
  whole.bias = TensorView{ElementType::kBfloat16, {200, 256}, bias.data()};
  const PieceRequest part = RequestOf(whole, RowsAndKeys(1));
  ASSERT_EQ(part.request.mask.boolean->shape, (Shape{2}));
  const auto* visible = static_cast<const char*>(part.request.mask.boolean->data);
  EXPECT_EQ(visible[0], 1);
  EXPECT_EQ(visible[1], 0);
  ASSERT_EQ(part.request.bias->shape, (Shape{64, 2}));
  EXPECT_EQ(part.request.bias->element_type, ElementType::kFloat32);
  const auto* added = static_cast<const float*>(part.request.bias->data);
  for (int i = 0; i < 128; ++i) EXPECT_EQ(added[i], -std::numeric_limits<float>::infinity());
}

TEST_F(PieceRequestTest, PlacesWithoutACausalMaskAreItsOwnToo) {
  AttendRequest whole = Request();
  whole.mask.window = SlidingWindow{.left = 100};
  whole.positions = Positions{.alignment = CausalAlignment::kBottomRight};
  const PieceRequest part = RequestOf(whole, RowsAndKeys(0));
  EXPECT_FALSE(part.request.mask.causal_offsets.has_value());
  EXPECT_EQ(part.request.mask.window->left, 100);
  EXPECT_EQ(part.request.positions->alignment, CausalAlignment::kUnspecified);
  EXPECT_EQ(part.request.positions->offsets, (std::vector<std::int64_t>{800 + 64 - 256}));
  // Where they matter to nobody there are none.
  whole.mask.window.reset();
  EXPECT_FALSE(RequestOf(whole, RowsAndKeys(0)).request.positions.has_value());
}

TEST_F(PieceRequestTest, PrefixAndQueryLengthsAreThoseOfItsKeysAndRows) {
  AttendRequest whole = Request();
  whole.mask.causal = CausalAlignment::kTopLeft;
  whole.mask.causal_prefix_lengths = {{1000, 300}};
  whole.mask.query_lengths = {{70, 10}};
  const PieceRequest first = RequestOf(whole, RowsAndKeys(0));
  EXPECT_EQ(first.request.mask.causal_prefix_lengths, (std::vector<std::int64_t>{256}));
  EXPECT_EQ(first.request.mask.query_lengths, (std::vector<std::int64_t>{6}));
  const PieceRequest second = RequestOf(whole, RowsAndKeys(1));
  EXPECT_EQ(second.request.mask.causal_prefix_lengths, (std::vector<std::int64_t>{44}));
  EXPECT_EQ(second.request.mask.query_lengths, (std::vector<std::int64_t>{0}));
}

TEST_F(PieceRequestTest, SegmentsGoWithTheirRowsAndKeys) {
  AttendRequest whole = Request();
  const std::vector<std::int32_t> ids(2000);
  whole.mask.segments = SegmentIds{.query = {ElementType::kInt32, {2, 200}, ids.data()},
                                   .key = {ElementType::kInt32, {2, 1000}, ids.data()}};
  const PieceRequest part = RequestOf(whole, RowsAndKeys(1));
  EXPECT_EQ(part.request.mask.segments->query.shape, (Shape{1, 64}));
  EXPECT_EQ(part.request.mask.segments->query.data, &ids[200 + 64]);
  EXPECT_EQ(part.request.mask.segments->key.shape, (Shape{1, 256}));
  EXPECT_EQ(part.request.mask.segments->key.data, &ids[1000 + 256]);
}

TEST_F(PieceRequestTest, SlopesAndSinksGoWithTheirHeads) {
  const AttendRequest whole = {.query = {ElementType::kFloat32, {1, 4, 10, 2}, elements_.data()},
                               .key = {ElementType::kFloat32, {1, 2, 10, 2}, elements_.data()},
                               .value = {ElementType::kFloat32, {1, 2, 10, 2}, elements_.data()},
                               .alibi_slopes = {{1, 2, 3, 4}},
                               .sinks = {{5, 6, 7, 8}}};
  Piece piece = WholeProblem(SizesOf(whole).value());
  piece.query_heads = {2, 4};
  piece.key_value_heads = {1, 2};
  const PieceRequest part = RequestOf(whole, piece);
  EXPECT_EQ(part.request.alibi_slopes, (std::vector<float>{3, 4}));
  EXPECT_EQ(part.request.sinks, (std::vector<float>{7, 8}));
  // In a range of keys a sink would count once too often.
  piece.keys = {0, 5};
  EXPECT_FALSE(RequestOf(whole, piece).request.sinks.has_value());
}

// Element [r, c] of a block mask of 200 rows and 1000 keys is whether r + c is even.
TEST_F(PieceRequestTest, BlocksAreMadeSmallerWhereAPieceBeginsWithinOne) {
  AttendRequest whole = Request();
  std::vector<char> blocks;
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 3; ++c) blocks.push_back((r + c) % 2 == 0);
  }
  whole.mask.blocks =
      BlockMask{.query_block_rows = 96, .key_block_keys = 384, .tensor = {ElementType::kBool, {3, 3}, blocks.data()}};
  const PieceRequest part = RequestOf(whole, RowsAndKeys(0));
  const BlockMask& of_part = *part.request.mask.blocks;
  EXPECT_EQ(of_part.query_block_rows, 32);
  EXPECT_EQ(of_part.key_block_keys, 128);
  ASSERT_EQ(of_part.tensor.shape, (Shape{2, 2}));
  const auto* elements = static_cast<const char*>(of_part.tensor.data);
  // Rows 64 and 96 are of the first and second block, keys 256 and 384 too.
  EXPECT_EQ(std::vector<char>(elements, elements + 4), (std::vector<char>{1, 0, 0, 1}));
}

TEST_F(PieceRequestTest, KeyRangesAreAskedForInFloat32WithLogSumExp) {
  const PieceRequest part = RequestOf(Request(ElementType::kBfloat16), RowsAndKeys(0));
  EXPECT_EQ(part.request.query.element_type, ElementType::kFloat32);
  EXPECT_EQ(part.request.value.element_type, ElementType::kFloat32);
  EXPECT_TRUE(part.request.return_log_sum_exp);
  Piece whole_keys = RowsAndKeys(0);
  whole_keys.keys = whole_keys.keys_of_rows;
  const PieceRequest unchanged = RequestOf(Request(ElementType::kBfloat16), whole_keys);
  EXPECT_EQ(unchanged.request.query.element_type, ElementType::kBfloat16);
  EXPECT_FALSE(unchanged.request.return_log_sum_exp);
}

}  // namespace
}  // namespace attnd

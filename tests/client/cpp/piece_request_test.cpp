// A piece's own request: which tensors it copies, and how its masks stand.
#include "client/cpp/piece_request.h"

#include <gtest/gtest.h>

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

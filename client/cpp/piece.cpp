#include "client/cpp/piece.h"

#include <algorithm>
#include <numeric>

namespace attnd {
namespace {

Range All(std::int64_t size) { return {0, size}; }

Box TensorBox(const AttendRequest& request, Range batch, Range heads, Range rows, std::int64_t head_size) {
  const std::size_t rank = request.query.shape.size();
  if (rank == 2) return {rows, All(head_size)};
  if (rank == 3) return {batch, rows, All(head_size)};
  if (request.layout == Layout::kBshd) return {batch, rows, heads, All(head_size)};
  return {batch, heads, rows, All(head_size)};
}

Box SegmentIdsBox(const AttendRequest& request, Range batch, Range places) {
  if (request.query.shape.size() == 2) return {places};
  return {batch, places};
}

// All query rows of the request.
std::int64_t QueryRows(const AttendRequest& request) {
  const Shape& shape = request.query.shape;
  return shape[request.layout == Layout::kBshd ? 1 : shape.size() - 2];
}

// How many blocks of this size the places take.
std::int64_t BlockCount(std::int64_t places, std::int64_t size) { return (places - 1) / size + 1; }

}  // namespace

Piece WholeProblem(const ProblemSizes& sizes) {
  return {.batch = All(sizes.batch),
          .query_heads = All(sizes.query_heads),
          .key_value_heads = All(sizes.key_value_heads),
          .query_rows = All(sizes.query_rows),
          .keys = All(sizes.keys),
          .keys_of_rows = All(sizes.keys)};
}

Box QueryBox(const AttendRequest& request, const Piece& piece) {
  return TensorBox(request, piece.batch, piece.query_heads, piece.query_rows, request.query.shape.back());
}

Box KeyBox(const AttendRequest& request, const Piece& piece) {
  return TensorBox(request, piece.batch, piece.key_value_heads, piece.keys, request.key.shape.back());
}

Box ValueBox(const AttendRequest& request, const Piece& piece) {
  return TensorBox(request, piece.batch, piece.key_value_heads, piece.keys, request.value.shape.back());
}

Box QuerySegmentIdsBox(const AttendRequest& request, const Piece& piece) {
  return SegmentIdsBox(request, piece.batch, piece.query_rows);
}

Box KeySegmentIdsBox(const AttendRequest& request, const Piece& piece) {
  return SegmentIdsBox(request, piece.batch, piece.keys);
}

Box MaskBox(const AttendRequest& request, const Shape& shape, const Piece& piece) {
  Box box = WeightsBox(request, piece, piece.keys);
  // Leading dimensions may be left out, and one element stands for a whole dimension.
  box.erase(box.begin(), box.end() - static_cast<std::ptrdiff_t>(shape.size()));
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) box[d] = All(1);
  }
  if (!box.empty()) {
    box.back() = {std::min(box.back().begin, shape.back()), std::min(box.back().end, shape.back())};
  }
  return box;
}

Box OutputBox(const AttendRequest& request, const Piece& piece) {
  return TensorBox(request, piece.batch, piece.query_heads, piece.query_rows, request.value.shape.back());
}

Box LogSumExpBox(const AttendRequest& request, const Piece& piece) {
  const std::size_t rank = request.query.shape.size();
  if (rank == 2) return {piece.query_rows};
  if (rank == 3) return {piece.batch, piece.query_rows};
  return {piece.batch, piece.query_heads, piece.query_rows};
}

Box WeightsBox(const AttendRequest& request, const Piece& piece, Range keys) {
  Box box = LogSumExpBox(request, piece);
  box.push_back(keys);
  return box;
}

Shape MaskShape(const AttendRequest& request, const Shape& shape, const Piece& piece) {
  Shape part = ShapeOf(MaskBox(request, shape, piece));
  const std::int64_t least = std::min<std::int64_t>(piece.keys.size(), 2);
  if (!part.empty() && shape.back() > 1) part.back() = std::max(part.back(), least);
  return part;
}

Blocks BlocksOf(const AttendRequest& request, const Piece& piece) {
  const BlockMask& whole = *request.mask.blocks;
  const bool all_rows = piece.query_rows == All(QueryRows(request));
  const bool from_first_key = piece.keys.begin == 0 && !piece.is_key_range();
  Blocks blocks{.rows = all_rows ? whole.query_block_rows : std::gcd(whole.query_block_rows, kRowUnit),
                .keys = from_first_key ? whole.key_block_keys : std::gcd(whole.key_block_keys, kKeyUnit)};
  Shape shape = ShapeOf(WeightsBox(request, piece, piece.keys));
  shape.back() = BlockCount(piece.keys.size(), blocks.keys);
  shape[shape.size() - 2] = BlockCount(piece.query_rows.size(), blocks.rows);
  const Shape& of_whole = whole.tensor.shape;
  shape.erase(shape.begin(), shape.end() - static_cast<std::ptrdiff_t>(of_whole.size()));
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (of_whole[d] == 1) shape[d] = 1;
  }
  blocks.shape = std::move(shape);
  return blocks;
}

Shape ShapeOfPart(const AttendRequest& request, Input input, const Piece& piece) {
  switch (input) {
    case Input::kQuery:
      return ShapeOf(QueryBox(request, piece));
    case Input::kKey:
      return ShapeOf(KeyBox(request, piece));
    case Input::kValue:
      return ShapeOf(ValueBox(request, piece));
    case Input::kMask:
    case Input::kBias:
      return MaskShape(request, FindView(request, input)->shape, piece);
    case Input::kQuerySegmentIds:
      return ShapeOf(QuerySegmentIdsBox(request, piece));
    case Input::kKeySegmentIds:
      return ShapeOf(KeySegmentIdsBox(request, piece));
    case Input::kBlockMask:
      return BlocksOf(request, piece).shape;
  }
  return {};
}

}  // namespace attnd

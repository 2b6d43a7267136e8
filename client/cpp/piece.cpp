#include "client/cpp/piece.h"

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

Box MaskBox(const AttendRequest& request, const Piece& piece) {
  const Shape& shape = request.mask.boolean->shape;
  Box box = WeightsBox(request, piece, piece.keys);
  // Leading dimensions may be left out, and one element stands for a whole dimension.
  box.erase(box.begin(), box.end() - static_cast<std::ptrdiff_t>(shape.size()));
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) box[d] = All(1);
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

}  // namespace attnd

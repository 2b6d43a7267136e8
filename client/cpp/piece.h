// A part of a problem, and where it lies in the problem's tensors. Pure values and functions.
#pragma once

#include <cstdint>

#include "client/cpp/attention.h"
#include "client/cpp/box.h"
#include "client/cpp/problem_sizes.h"
#include "client/cpp/request_tensors.h"

namespace attnd {

// What pieces begin at multiples of. Fewer query rows than a unit are not worth that all their keys are sent for them.
// What a server computes at once are multiples of both, the keys counted from the first that it gets, so that cuts
// there leave no small rests.
inline constexpr std::int64_t kRowUnit = 64;
inline constexpr std::int64_t kKeyUnit = 256;

// Some query rows of some heads of some batch entries, and keys that they see.
struct Piece {
  Range batch;
  Range query_heads;
  Range key_value_heads;
  Range query_rows;
  Range keys;
  // The keys of all pieces of the same rows; no row sees a key beyond. Where that is more than `keys`, the pieces'
  // results are to be merged.
  Range keys_of_rows;

  bool is_key_range() const { return keys != keys_of_rows; }
};

Piece WholeProblem(const ProblemSizes& sizes);

// Where a piece's elements lie in the tensors of the request and of its answer, in the request's rank and layout. The
// request must be one that SizesOf takes.
Box QueryBox(const AttendRequest& request, const Piece& piece);
Box KeyBox(const AttendRequest& request, const Piece& piece);
Box ValueBox(const AttendRequest& request, const Piece& piece);
Box QuerySegmentIdsBox(const AttendRequest& request, const Piece& piece);
Box KeySegmentIdsBox(const AttendRequest& request, const Piece& piece);
// Of a boolean mask or a bias of this shape. Where it does not reach the piece's keys, the last range is empty.
Box MaskBox(const AttendRequest& request, const Shape& shape, const Piece& piece);
Box OutputBox(const AttendRequest& request, const Piece& piece);
Box LogSumExpBox(const AttendRequest& request, const Piece& piece);
// Of these keys.
Box WeightsBox(const AttendRequest& request, const Piece& piece, Range keys);

// The shape of a piece's part of such a mask or bias: its box's, or where that could be taken for a broadcast along the
// keys, with hidden keys in the last columns.
Shape MaskShape(const AttendRequest& request, const Shape& shape, const Piece& piece);

// The blocks of a piece's part of the block mask: the whole's, or smaller ones such that a piece may begin at any unit.
struct Blocks {
  std::int64_t rows = 1;
  std::int64_t keys = 1;
  Shape shape = {};
};
Blocks BlocksOf(const AttendRequest& request, const Piece& piece);

// The shape of a piece's part of a tensor that the request has.
Shape ShapeOfPart(const AttendRequest& request, Input input, const Piece& piece);

}  // namespace attnd

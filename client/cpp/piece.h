// A part of a problem, and where it lies in the problem's tensors. Pure values and functions.
#pragma once

#include "client/cpp/box.h"
#include "client/cpp/client.h"
#include "client/cpp/problem_sizes.h"

namespace attnd {

// Some query rows of some heads of some batch entries, and keys that they see.
struct Piece {
  Range batch;
  Range query_heads;
  Range key_value_heads;
  Range query_rows;
  Range keys;
  // The keys of all pieces of the same rows, from key 0; no row sees a key beyond. Where that is more than `keys`, the
  // pieces' results are to be merged.
  Range keys_of_rows;

  bool is_key_range() const { return keys != keys_of_rows; }
};

Piece WholeProblem(const ProblemSizes& sizes);

// Where a piece's elements lie in the tensors of the request and of its answer, in the request's rank and layout. The
// request must be one that SizesOf takes.
Box QueryBox(const AttendRequest& request, const Piece& piece);
Box KeyBox(const AttendRequest& request, const Piece& piece);
Box ValueBox(const AttendRequest& request, const Piece& piece);
Box MaskBox(const AttendRequest& request, const Piece& piece);  // where it has a boolean mask
Box OutputBox(const AttendRequest& request, const Piece& piece);
Box LogSumExpBox(const AttendRequest& request, const Piece& piece);
// Of these keys.
Box WeightsBox(const AttendRequest& request, const Piece& piece, Range keys);

}  // namespace attnd

// How a problem is cut into pieces of which each fits a message. Pure functions: shapes and masks in, ranges out.
#pragma once

#include <cstdint>
#include <vector>

#include "client/cpp/attention.h"
#include "client/cpp/piece.h"
#include "client/cpp/problem_sizes.h"

namespace attnd {

// The bytes of the piece's request or of its answer, whichever has more; small fields are counted generously.
std::int64_t MessageSizeBytes(const AttendRequest& request, const Piece& piece);

// Pieces that together are the problem: each query row of each head is in one piece, or in several that follow each
// other and differ in their keys. No message of a piece takes more than `limit_bytes`, unless 64 query rows and 256
// keys of one head do. The cut is the coarsest that fits: by batch entries; where one does not fit, by key and value
// heads; then by query heads; then by query rows. All these change no bits of a result, since a row is computed from
// the same numbers in the same order. Only where 64 query rows do not fit beside all keys that they see, keys are cut,
// which rounds differently.
//
// `sizes` are SizesOf(request).
std::vector<Piece> Cut(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t limit_bytes);

}  // namespace attnd

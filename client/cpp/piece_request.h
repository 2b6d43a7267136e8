// From a problem's request and a piece to the piece's own request.
#pragma once

#include <absl/status/statusor.h>

#include <vector>

#include "client/cpp/attention.h"
#include "client/cpp/box.h"
#include "client/cpp/piece.h"
#include "client/cpp/problem_sizes.h"

namespace attnd {

// Its tensors lie in the whole problem's where they do so one element after the other, else in copies that it holds.
struct PieceRequest {
  AttendRequest request;
  std::vector<Tensor> copies = {};
};

// Pieces that differ in their keys are asked for in float32, so that what is merged is rounded once, with log-sum-exp,
// and without sinks, which take part in the merge. `sizes` are SizesOf(whole). RESOURCE_EXHAUSTED where memory for
// copies could not be had.
absl::StatusOr<PieceRequest> RequestOf(const AttendRequest& whole, const ProblemSizes& sizes, const Piece& piece);

}  // namespace attnd

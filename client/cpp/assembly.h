// Puts the results of a problem's pieces together.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>

#include "client/cpp/attention.h"
#include "client/cpp/key_range_merge.h"
#include "client/cpp/piece.h"
#include "client/cpp/problem_sizes.h"

namespace attnd {

class Assembly {
 public:
  // Takes the memory of the whole result: RESOURCE_EXHAUSTED where it could not be had. `sizes` are SizesOf(request);
  // the request is copied, the memory of its tensors is not read.
  static absl::StatusOr<Assembly> Create(const AttendRequest& request, const ProblemSizes& sizes);

  // The result of the piece's request (piece_request.h), with the tensors and shapes that it must have; in the order of
  // the pieces. RESOURCE_EXHAUSTED where memory for merging could not be had.
  absl::Status Add(const Piece& piece, const AttendResult& part);

  // When all pieces have been added; at most once.
  AttendResult Take();

 private:
  Assembly(const AttendRequest& request, const ProblemSizes& sizes) : request_(request), sizes_(sizes) {}

  void AddWeights(const Piece& piece, const Tensor& weights);
  void BeginKeyRanges(const Piece& piece);
  absl::Status AddKeyRange(const Piece& piece, const AttendResult& part);
  absl::Status FinishKeyRanges(const Piece& piece);
  void AddReport(const Piece& piece, const Report& part);

  AttendRequest request_;
  ProblemSizes sizes_;
  AttendResult result_;
  // While pieces come that differ in their keys alone.
  std::optional<KeyRangeMerge> merge_;
};

}  // namespace attnd

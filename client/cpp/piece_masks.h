// A piece's part of the tensors that hide keys.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include "client/cpp/attention.h"
#include "client/cpp/box.h"
#include "client/cpp/piece.h"

namespace attnd {

// Of a boolean mask or bias. RESOURCE_EXHAUSTED where memory for a copy could not be had, with `name` in its text.
absl::StatusOr<Slice> MaskOfPiece(const AttendRequest& request, const TensorView& mask, const Piece& piece,
                                  absl::string_view name);

// Of the block mask that the request has. RESOURCE_EXHAUSTED where memory could not be had.
absl::StatusOr<Tensor> BlockMaskOfPiece(const AttendRequest& request, const Piece& piece);

}  // namespace attnd

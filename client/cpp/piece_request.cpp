#include "client/cpp/piece_request.h"

#include <algorithm>
#include <utility>

#include "client/cpp/piece_masks.h"
#include "client/cpp/request_tensors.h"
#include "client/cpp/small_float.h"

namespace attnd {
namespace {

// The piece's part of a tensor that the request has.
absl::StatusOr<Slice> PartOf(const AttendRequest& whole, const InputTensor& tensor, const Piece& piece) {
  const TensorView& view = *FindView(whole, tensor.input);
  switch (tensor.input) {
    case Input::kQuery:
      return SliceOf(view, QueryBox(whole, piece), tensor.name);
    case Input::kKey:
      return SliceOf(view, KeyBox(whole, piece), tensor.name);
    case Input::kValue:
      return SliceOf(view, ValueBox(whole, piece), tensor.name);
    case Input::kMask:
    case Input::kBias:
      return MaskOfPiece(whole, view, piece, tensor.name);
    case Input::kQuerySegmentIds:
      return SliceOf(view, QuerySegmentIdsBox(whole, piece), tensor.name);
    case Input::kKeySegmentIds:
      return SliceOf(view, KeySegmentIdsBox(whole, piece), tensor.name);
    case Input::kBlockMask:
      break;
  }
  auto blocks = BlockMaskOfPiece(whole, piece);
  if (!blocks.ok()) return blocks.status();
  Slice slice{.view = blocks->view()};
  slice.copy = *std::move(blocks);
  return slice;
}

absl::Status ConvertToFloat32(absl::string_view name, TensorView& part, std::vector<Tensor>& copies) {
  if (part.element_type != ElementType::kBfloat16 && part.element_type != ElementType::kFloat16) {
    return absl::OkStatus();
  }
  auto copy = Tensor::Create(ElementType::kFloat32, part.shape, name);
  if (!copy.ok()) return copy.status();
  ToFloat32(part.element_type, part.data, copy->size_bytes() / sizeof(float), reinterpret_cast<float*>(copy->data()));
  part = copy->view();
  copies.push_back(*std::move(copy));
  return absl::OkStatus();
}

using Numbers = std::vector<std::int64_t>;

// The lengths of the piece's batch entries, as seen from its rows or keys.
std::optional<Numbers> LengthsOf(const std::optional<Numbers>& whole, const Piece& piece, Range places) {
  if (!whole) return std::nullopt;
  Numbers lengths;
  for (std::int64_t batch = piece.batch.begin; batch < piece.batch.end; ++batch) {
    const std::int64_t length = (*whole)[static_cast<std::size_t>(batch)];
    lengths.push_back(std::clamp(length - places.begin, std::int64_t{0}, places.size()));
  }
  return lengths;
}

// Where the piece's rows stand among its keys, in one of the two ways that do not depend on how many there are.
void SetPositions(const AttendRequest& whole, const ProblemSizes& sizes, const Piece& piece, AttendRequest& part) {
  part.positions.reset();
  part.mask.causal.reset();
  part.mask.causal_offsets.reset();
  if (!CountsPositions(whole)) return;
  Numbers offsets;
  for (std::int64_t batch = piece.batch.begin; batch < piece.batch.end; ++batch) {
    offsets.push_back(PositionOffset(whole, sizes, batch) + piece.query_rows.begin - piece.keys.begin);
  }
  if (IsCausal(whole.mask)) {
    part.mask.causal_offsets = std::move(offsets);
  } else {
    part.positions = Positions{.offsets = std::move(offsets)};
  }
}

std::optional<std::vector<float>> OfHeads(const std::optional<std::vector<float>>& whole, Range heads) {
  if (!whole) return std::nullopt;
  return std::vector<float>(whole->begin() + heads.begin, whole->begin() + heads.end);
}

void SetBlocks(const AttendRequest& whole, const Piece& piece, AttendRequest& part) {
  if (!whole.mask.blocks) return;
  const Blocks blocks = BlocksOf(whole, piece);
  part.mask.blocks->query_block_rows = blocks.rows;
  part.mask.blocks->key_block_keys = blocks.keys;
}

}  // namespace

absl::StatusOr<PieceRequest> RequestOf(const AttendRequest& whole, const ProblemSizes& sizes, const Piece& piece) {
  PieceRequest part{.request = whole};
  SetPositions(whole, sizes, piece, part.request);
  MaskOptions& mask = part.request.mask;
  mask.causal_prefix_lengths = LengthsOf(whole.mask.causal_prefix_lengths, piece, piece.keys);
  mask.key_lengths = LengthsOf(whole.mask.key_lengths, piece, piece.keys);
  mask.query_lengths = LengthsOf(whole.mask.query_lengths, piece, piece.query_rows);
  SetBlocks(whole, piece, part.request);
  part.request.alibi_slopes = OfHeads(whole.alibi_slopes, piece.query_heads);
  part.request.sinks = OfHeads(whole.sinks, piece.query_heads);
  if (piece.is_key_range()) {
    part.request.sinks.reset();
    part.request.return_log_sum_exp = true;
  }
  for (const InputTensor& tensor : InputTensors()) {
    TensorView* const view = FindView(part.request, tensor.input);
    if (view == nullptr) continue;
    auto slice = PartOf(whole, tensor, piece);
    if (!slice.ok()) return slice.status();
    *view = slice->view;
    if (slice->copy) part.copies.push_back(*std::move(slice->copy));
    if (!piece.is_key_range()) continue;
    if (absl::Status status = ConvertToFloat32(tensor.name, *view, part.copies); !status.ok()) return status;
  }
  return part;
}

}  // namespace attnd

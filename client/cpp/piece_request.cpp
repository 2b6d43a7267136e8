#include "client/cpp/piece_request.h"

#include <algorithm>
#include <utility>

#include "client/cpp/small_float.h"

namespace attnd {
namespace {

// Refers `part` to the box of `whole`, copying it to `copies` where it must be.
absl::Status Take(const TensorView& whole, const Box& box, absl::string_view name, TensorView& part,
                  std::vector<Tensor>& copies) {
  auto slice = SliceOf(whole, box, name);
  if (!slice.ok()) return slice.status();
  part = slice->view;
  if (slice->copy) copies.push_back(*std::move(slice->copy));
  return absl::OkStatus();
}

absl::Status ConvertToFloat32(absl::string_view name, TensorView& part, std::vector<Tensor>& copies) {
  if (part.element_type == ElementType::kFloat32) return absl::OkStatus();
  auto copy = Tensor::Create(ElementType::kFloat32, part.shape, name);
  if (!copy.ok()) return copy.status();
  ToFloat32(part.element_type, part.data, copy->size_bytes() / sizeof(float), reinterpret_cast<float*>(copy->data()));
  part = copy->view();
  copies.push_back(*std::move(copy));
  return absl::OkStatus();
}

// The masks in closed form, as the piece's rows see its keys.
MaskOptions MaskOf(const AttendRequest& whole, const ProblemSizes& sizes, const Piece& piece) {
  MaskOptions mask;
  for (std::int64_t batch = piece.batch.begin; batch < piece.batch.end; ++batch) {
    if (const auto offset = CausalOffset(whole, sizes, batch)) {
      if (!mask.causal_offsets) mask.causal_offsets.emplace();
      mask.causal_offsets->push_back(*offset + piece.query_rows.begin - piece.keys.begin);
    }
    if (whole.mask.key_lengths) {
      if (!mask.key_lengths) mask.key_lengths.emplace();
      const std::int64_t length = (*whole.mask.key_lengths)[static_cast<std::size_t>(batch)];
      mask.key_lengths->push_back(std::clamp(length - piece.keys.begin, std::int64_t{0}, piece.keys.size()));
    }
  }
  return mask;
}

}  // namespace

absl::StatusOr<PieceRequest> RequestOf(const AttendRequest& whole, const ProblemSizes& sizes, const Piece& piece) {
  PieceRequest part{.request = whole};
  part.request.mask = MaskOf(whole, sizes, piece);
  struct Tensors {
    absl::string_view name;
    const TensorView& whole;
    Box box;
    TensorView& part;
  };
  for (const Tensors& tensor : {Tensors{"query", whole.query, QueryBox(whole, piece), part.request.query},
                                Tensors{"key", whole.key, KeyBox(whole, piece), part.request.key},
                                Tensors{"value", whole.value, ValueBox(whole, piece), part.request.value}}) {
    absl::Status status = Take(tensor.whole, tensor.box, tensor.name, tensor.part, part.copies);
    if (status.ok() && piece.is_key_range()) status = ConvertToFloat32(tensor.name, tensor.part, part.copies);
    if (!status.ok()) return status;
  }
  if (whole.mask.boolean) {
    TensorView& mask = part.request.mask.boolean.emplace();
    const absl::Status status = Take(*whole.mask.boolean, MaskBox(whole, piece), "mask.boolean", mask, part.copies);
    if (!status.ok()) return status;
  }
  if (piece.is_key_range()) part.request.return_log_sum_exp = true;
  return part;
}

}  // namespace attnd

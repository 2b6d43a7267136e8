#include "client/cpp/piece_masks.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <utility>

namespace attnd {
namespace {

// Fills a mask or bias with what hides every key.
void Hide(Tensor& mask) {
  constexpr std::uint16_t kBfloat16MinusInfinity = 0xff80;
  constexpr std::uint16_t kFloat16MinusInfinity = 0xfc00;
  std::byte* const data = mask.data();
  const std::size_t count = mask.size_bytes() / ElementSizeBytes(mask.element_type());
  switch (mask.element_type()) {
    case ElementType::kFloat32:
      std::fill_n(reinterpret_cast<float*>(data), count, -std::numeric_limits<float>::infinity());
      break;
    case ElementType::kBfloat16:
      std::fill_n(reinterpret_cast<std::uint16_t*>(data), count, kBfloat16MinusInfinity);
      break;
    case ElementType::kFloat16:
      std::fill_n(reinterpret_cast<std::uint16_t*>(data), count, kFloat16MinusInfinity);
      break;
    case ElementType::kInt32:
    case ElementType::kBool:
      std::fill_n(data, mask.size_bytes(), std::byte{0});
      break;
  }
}

// A broadcast shape as [B, H, rows, keys].
using Shape4 = std::array<std::int64_t, 4>;

Shape4 WithFourDimensions(const Shape& shape) {
  Shape4 padded = {1, 1, 1, 1};
  std::ranges::copy_backward(shape, padded.end());
  return padded;
}

// Where along a dimension of the whole, of `size` elements, element `index` of a part is taken from.
std::int64_t Source(std::int64_t size, std::int64_t index) { return size == 1 ? 0 : index; }

}  // namespace

absl::StatusOr<Slice> MaskOfPiece(const AttendRequest& request, const TensorView& mask, const Piece& piece,
                                  absl::string_view name) {
  const Box box = MaskBox(request, mask.shape, piece);
  Shape shape = MaskShape(request, mask.shape, piece);
  if (ShapeOf(box) == shape) return SliceOf(mask, box, name);
  auto padded = Tensor::Create(mask.element_type, shape, name);
  if (!padded.ok()) return padded.status();
  Hide(*padded);
  if (box.back().size() > 0) {
    const auto part = SliceOf(mask, box, name);
    if (!part.ok()) return part.status();
    Box target;
    for (const Range& range : box) target.push_back({0, range.size()});
    Put(part->view, target, *padded);
  }
  Slice slice{.view = padded->view()};
  slice.copy = *std::move(padded);
  return slice;
}

absl::StatusOr<Tensor> BlockMaskOfPiece(const AttendRequest& request, const Piece& piece) {
  const BlockMask& whole = *request.mask.blocks;
  const Blocks blocks = BlocksOf(request, piece);
  auto part = Tensor::Create(ElementType::kBool, blocks.shape, "mask.blocks");
  if (!part.ok()) return part.status();
  const Shape4 from = WithFourDimensions(whole.tensor.shape);
  const Shape4 to = WithFourDimensions(blocks.shape);
  const bool has_heads = request.query.shape.size() == 4;
  const auto* const elements = static_cast<const std::byte*>(whole.tensor.data);
  std::byte* target = part->data();
  for (std::int64_t b = 0; b < to[0]; ++b) {
    for (std::int64_t h = 0; h < to[1]; ++h) {
      for (std::int64_t r = 0; r < to[2]; ++r) {
        // Below rank 4, what stands before the rows is the batch entry.
        const std::int64_t batch = Source(from[0], piece.batch.begin + b);
        const std::int64_t head = Source(from[1], (has_heads ? piece.query_heads : piece.batch).begin + h);
        const std::int64_t row = Source(from[2], (piece.query_rows.begin + r * blocks.rows) / whole.query_block_rows);
        const std::byte* const keys = elements + ((batch * from[1] + head) * from[2] + row) * from[3];
        for (std::int64_t c = 0; c < to[3]; ++c) {
          *target++ = keys[Source(from[3], (piece.keys.begin + c * blocks.keys) / whole.key_block_keys)];
        }
      }
    }
  }
  return part;
}

}  // namespace attnd

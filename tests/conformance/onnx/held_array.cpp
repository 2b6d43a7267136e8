#include "tests/conformance/onnx/held_array.h"

#include <absl/strings/str_cat.h>

#include <functional>
#include <numeric>
#include <stdexcept>
#include <utility>

namespace attnd::test {
namespace {

// Of the dimensions from `begin` to before `end`.
std::size_t Product(const Shape& shape, std::size_t begin, std::size_t end) {
  return static_cast<std::size_t>(std::accumulate(shape.begin() + static_cast<std::ptrdiff_t>(begin),
                                                  shape.begin() + static_cast<std::ptrdiff_t>(end), std::int64_t{1},
                                                  std::multiplies<>()));
}

void Append(std::span<const std::byte> piece, std::vector<std::byte>& bytes) {
  bytes.insert(bytes.end(), piece.begin(), piece.end());
}

}  // namespace

HeldArray Hold(const cli::Array& array) {
  return {array.type, array.shape, std::vector<std::byte>(array.bytes.begin(), array.bytes.end())};
}

HeldArray Reshape(const cli::Array& array, Shape shape) {
  if (Product(shape, 0, shape.size()) != static_cast<std::size_t>(array.element_count())) {
    throw std::invalid_argument(absl::StrCat(ToString(array.shape), " is not ", ToString(shape)));
  }
  HeldArray reshaped = Hold(array);
  reshaped.shape = std::move(shape);
  return reshaped;
}

HeldArray SwapHeadsAndSequence(const cli::Array& array) {
  if (array.shape.size() != 4) throw std::invalid_argument(ToString(array.shape) + " has not four dimensions");
  const auto outer = static_cast<std::size_t>(array.shape[1]);
  const auto inner = static_cast<std::size_t>(array.shape[2]);
  const std::size_t row_bytes = Product(array.shape, 3, 4) * cli::DataTypeSizeBytes(array.type);
  HeldArray swapped{array.type, array.shape, {}};
  std::swap(swapped.shape[1], swapped.shape[2]);
  for (std::size_t b = 0; b < Product(array.shape, 0, 1); ++b) {
    for (std::size_t i = 0; i < inner; ++i) {
      for (std::size_t o = 0; o < outer; ++o) {
        Append(array.bytes.subspan(((b * outer + o) * inner + i) * row_bytes, row_bytes), swapped.bytes);
      }
    }
  }
  return swapped;
}

HeldArray Join(const cli::Array& first, const cli::Array& second, std::size_t dimension) {
  HeldArray joined{first.type, first.shape, {}};
  joined.shape.at(dimension) = second.shape.at(dimension);
  if (joined.type != second.type || joined.shape != second.shape) {
    throw std::invalid_argument(absl::StrCat(ToString(first.shape), " and ", ToString(second.shape), " do not join"));
  }
  joined.shape[dimension] += first.shape[dimension];
  const std::size_t pieces = Product(joined.shape, 0, dimension);
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    for (const cli::Array* array : {&first, &second}) {
      const std::size_t piece_bytes = array->bytes.size() / pieces;
      Append(array->bytes.subspan(piece * piece_bytes, piece_bytes), joined.bytes);
    }
  }
  return joined;
}

}  // namespace attnd::test

// Arrays that own their bytes, and the three ways in which ONNX's shapes become the interface's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "client/cli/array.h"

namespace attnd::test {

struct HeldArray {
  cli::DataType type = cli::DataType::kFloat32;
  Shape shape;
  std::vector<std::byte> bytes;

  // Good while this lives and is not changed.
  cli::Array view() const { return {type, shape, bytes}; }
};

HeldArray Hold(const cli::Array& array);

// The same bytes in a shape of as many elements.
HeldArray Reshape(const cli::Array& array, Shape shape);

// [B, H, S, D] as [B, S, H, D], or the other way round.
HeldArray SwapHeadsAndSequence(const cli::Array& array);

// `first` before `second` along a dimension; all others are the same in both.
HeldArray Join(const cli::Array& first, const cli::Array& second, std::size_t dimension);

}  // namespace attnd::test

// The element types as numbers, written apart from the core's own conversions so that they can judge them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace attnd::test {

// The nearest number that the type (float32, bfloat16 or float16) can hold, ties to even; infinity past the largest.
// NaN stays.
double RoundTo(core::ElementType type, double number);

// Little-endian elements of the type; every number must be one that it can hold.
std::vector<std::uint8_t> Encode(core::ElementType type, const std::vector<double>& numbers);
std::vector<double> Decode(core::ElementType type, const std::uint8_t* elements, std::size_t count);

}  // namespace attnd::test

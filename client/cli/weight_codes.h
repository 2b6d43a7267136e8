// Weights in 8 or 16 bits, for the page: weight = largest · (code / steps)². Small weights, of which attention has
// many, lie closer together than large ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attnd::cli {

enum class CodeBits : std::uint8_t { k8 = 8, k16 = 16 };

// The code of the largest weight: two below what the bits hold, 253 or 65533.
std::uint32_t CodeSteps(CodeBits bits);

// steps + 1 for what is not finite, steps + 2 for kUnknownWeight. A weight that is decoded is at most
// √(weight · largest) / steps + largest / (4 · steps²) off.
std::uint32_t CodeOf(double weight, double largest, CodeBits bits);

// Little-endian.
std::string EncodeWeights(const std::vector<double>& weights, double largest, CodeBits bits);

}  // namespace attnd::cli

#include "client/cli/weight_codes.h"

#include <cmath>

#include "client/cli/attention_map.h"

namespace attnd::cli {

std::uint32_t CodeSteps(CodeBits bits) { return (1U << static_cast<unsigned>(bits)) - 3; }

std::uint32_t CodeOf(double weight, double largest, CodeBits bits) {
  const std::uint32_t steps = CodeSteps(bits);
  if (weight == kUnknownWeight) return steps + 2;
  if (!std::isfinite(weight)) return steps + 1;
  return largest > 0 ? static_cast<std::uint32_t>(std::lround(std::sqrt(weight / largest) * steps)) : 0;
}

std::string EncodeWeights(const std::vector<double>& weights, double largest, CodeBits bits) {
  std::string bytes;
  bytes.reserve(weights.size() * static_cast<std::size_t>(bits) / 8);
  for (const double weight : weights) {
    const std::uint32_t code = CodeOf(weight, largest, bits);
    bytes.push_back(static_cast<char>(code & 0xff));
    if (bits == CodeBits::k16) bytes.push_back(static_cast<char>(code >> 8));
  }
  return bytes;
}

}  // namespace attnd::cli

#include "tests/support/small_float.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace attnd::test {
namespace {

struct Format {
  int fraction_bits;
  int least_exponent;  // of a normal number
  double largest;
};

Format FormatOf(core::ElementType type) {
  switch (type) {
    case core::ElementType::kBfloat16:
      return {.fraction_bits = 7, .least_exponent = -126, .largest = std::ldexp(2 - std::ldexp(1, -7), 127)};
    case core::ElementType::kFloat16:
      return {.fraction_bits = 10, .least_exponent = -14, .largest = 65504};
    default:
      return {.fraction_bits = 23, .least_exponent = -126, .largest = std::numeric_limits<float>::max()};
  }
}

std::uint16_t EncodeFloat16(double number) {
  const std::uint16_t sign = std::signbit(number) ? 0x8000 : 0;
  const double size = std::fabs(number);
  if (std::isnan(number)) return 0x7e00;
  if (std::isinf(number)) return sign | 0x7c00;
  if (size < std::ldexp(1, -14)) return sign | static_cast<std::uint16_t>(std::ldexp(size, 24));
  const int exponent = std::ilogb(size);
  const auto fraction = static_cast<std::uint16_t>(std::ldexp(size, 10 - exponent) - 1024);
  return static_cast<std::uint16_t>(sign | ((exponent + 15) << 10) | fraction);
}

double DecodeFloat16(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  double size = 0;
  if (exponent == 0x1f) {
    size = fraction == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    size = std::ldexp(fraction, -24);
  } else {
    size = std::ldexp(fraction + 1024, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -size : size;
}

template <typename Element>
void Append(std::vector<std::uint8_t>& bytes, Element element) {
  const std::size_t size = bytes.size();
  bytes.resize(size + sizeof(element));
  std::memcpy(bytes.data() + size, &element, sizeof(element));
}

template <typename Element>
Element ElementAt(const std::uint8_t* bytes, std::size_t index) {
  Element element;
  std::memcpy(&element, bytes + index * sizeof(element), sizeof(element));
  return element;
}

}  // namespace

double RoundTo(core::ElementType type, double number) {
  if (!std::isfinite(number) || number == 0) return number;
  const Format format = FormatOf(type);
  const int exponent = std::max(std::ilogb(number), format.least_exponent);
  const int quantum_exponent = exponent - format.fraction_bits;
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(number, -quantum_exponent)), quantum_exponent);
  return std::fabs(rounded) <= format.largest ? rounded
                                              : std::copysign(std::numeric_limits<double>::infinity(), number);
}

std::vector<std::uint8_t> Encode(core::ElementType type, const std::vector<double>& numbers) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(numbers.size() * core::ElementSizeBytes(type));
  for (const double number : numbers) {
    const auto single = static_cast<float>(number);
    if (type == core::ElementType::kFloat32) Append(bytes, single);
    if (type == core::ElementType::kBfloat16)
      Append(bytes, static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(single) >> 16));
    if (type == core::ElementType::kFloat16) Append(bytes, EncodeFloat16(number));
  }
  return bytes;
}

std::vector<double> Decode(core::ElementType type, const std::uint8_t* elements, std::size_t count) {
  std::vector<double> numbers(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (type == core::ElementType::kFloat32) numbers[i] = ElementAt<float>(elements, i);
    if (type == core::ElementType::kBfloat16) {
      numbers[i] = std::bit_cast<float>(static_cast<std::uint32_t>(ElementAt<std::uint16_t>(elements, i)) << 16);
    }
    if (type == core::ElementType::kFloat16) numbers[i] = DecodeFloat16(ElementAt<std::uint16_t>(elements, i));
  }
  return numbers;
}

}  // namespace attnd::test

#include "client/cpp/small_float.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace attnd {
namespace {

// float16's numbers are made by scaling instead of by the compiler's own type, which not every compiler and machine
// has.

float FromBfloat16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

std::uint16_t ToBfloat16(float number) {
  const auto bits = std::bit_cast<std::uint32_t>(number);
  if (std::isnan(number)) return static_cast<std::uint16_t>(bits >> 16 | 0x40);  // quiet
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float FromFloat16(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000U} << 16;
  const std::uint32_t magnitude = bits & 0x7fffU;
  if (magnitude >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000 | magnitude << 13);
  // Exponent and fraction where float32 has them, then 2^(127 − 15) for the exponents' biases; denormals come right
  // too.
  const float number = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(number));
}

std::uint16_t ToFloat16(float number) {
  const auto sign = static_cast<std::uint32_t>(std::bit_cast<std::uint32_t>(number) >> 16 & 0x8000);
  const float magnitude = std::fabs(number);
  std::uint32_t bits = 0;
  if (std::isnan(number)) {
    bits = 0x7e00;
  } else if (magnitude >= 65520) {  // halfway between the largest number and the next power of two
    bits = 0x7c00;
  } else if (magnitude < 0x1p-14F) {
    // A multiple of 2⁻²⁴, which is the last place of a float32 of this size: adding rounds.
    bits = std::bit_cast<std::uint32_t>(magnitude + 0.5F) - std::bit_cast<std::uint32_t>(0.5F);
  } else {
    const auto wide = std::bit_cast<std::uint32_t>(magnitude);
    bits = (wide - (112U << 23) + 0xfff + (wide >> 13 & 1)) >> 13;
  }
  return static_cast<std::uint16_t>(sign | bits);
}

template <typename From, typename To, typename Convert>
void ConvertAll(const void* from, std::size_t count, void* to, Convert convert) {
  for (std::size_t n = 0; n < count; ++n) {
    From element;
    std::memcpy(&element, static_cast<const std::byte*>(from) + n * sizeof(From), sizeof(From));
    const To converted = convert(element);
    std::memcpy(static_cast<std::byte*>(to) + n * sizeof(To), &converted, sizeof(To));
  }
}

}  // namespace

void ToFloat32(ElementType type, const void* elements, std::size_t count, float* numbers) {
  if (type == ElementType::kBfloat16) {
    ConvertAll<std::uint16_t, float>(elements, count, numbers, FromBfloat16);
  } else if (type == ElementType::kFloat16) {
    ConvertAll<std::uint16_t, float>(elements, count, numbers, FromFloat16);
  } else {
    std::memcpy(numbers, elements, count * sizeof(float));
  }
}

void FromFloat32(ElementType type, const float* numbers, std::size_t count, void* elements) {
  if (type == ElementType::kBfloat16) {
    ConvertAll<float, std::uint16_t>(numbers, count, elements, ToBfloat16);
  } else if (type == ElementType::kFloat16) {
    ConvertAll<float, std::uint16_t>(numbers, count, elements, ToFloat16);
  } else {
    std::memcpy(elements, numbers, count * sizeof(float));
  }
}

}  // namespace attnd

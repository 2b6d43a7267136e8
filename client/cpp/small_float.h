// 16-bit floating-point elements as float32 and back.
#pragma once

#include <cstddef>

#include "client/cpp/tensor.h"

namespace attnd {

// Exact. `type` is one of float32, bfloat16 and float16; either pointer may have any alignment.
void ToFloat32(ElementType type, const void* elements, std::size_t count, float* numbers);

// Rounds to the nearest number that the type has, ties to even, as the server does.
void FromFloat32(ElementType type, const float* numbers, std::size_t count, void* elements);

}  // namespace attnd

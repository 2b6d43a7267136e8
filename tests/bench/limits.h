// What the machine can do, measured: all threads at once, each on memory of its own.
#pragma once

#include "core/tensor.h"

namespace attnd::bench {

// Floating-point operations a second of large matrix products (gemm.h).
double ProductRate(core::ElementType type, int threads);

// Bytes a second that are read of memory far larger than the caches.
double ReadRate(int threads);

// Bytes a second that are written to such memory.
double WriteRate(int threads);

// Exponentials a second, by Highway's vector library, of numbers in the first-level cache.
double ExponentialRate(int threads);

}  // namespace attnd::bench

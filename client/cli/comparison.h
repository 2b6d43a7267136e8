// How far two arrays are from each other.
#pragma once

#include "client/cli/array.h"

namespace attnd::cli {

// The largest absolute difference of two elements at the same place, in float64. Infinite where the shapes differ, and
// where one element is NaN or infinite and the other is not the same.
double LargestDifference(const Array& left, const Array& right);

}  // namespace attnd::cli

#include "client/cli/comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attnd::cli {
namespace {

double Difference(double left, double right) {
  if (std::isnan(left) && std::isnan(right)) return 0;
  if (left == right) return 0;  // also infinities
  const double difference = std::abs(left - right);
  return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
}

}  // namespace

double LargestDifference(const Array& left, const Array& right) {
  if (left.shape != right.shape) return std::numeric_limits<double>::infinity();
  double largest = 0;
  for (std::int64_t i = 0; i < left.element_count(); ++i) {
    largest = std::max(largest, Difference(ElementAsFloat64(left, i), ElementAsFloat64(right, i)));
  }
  return largest;
}

}  // namespace attnd::cli

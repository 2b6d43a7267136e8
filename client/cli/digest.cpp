#include "client/cli/digest.h"

#include <algorithm>
#include <cmath>

#include "client/cli/array.h"

namespace attnd::cli {

Digest DigestOf(const Tensor& tensor) {
  const Array array = ToArray(tensor);
  Digest digest;
  double sum = 0;
  for (std::int64_t i = 0; i < array.element_count(); ++i) {
    const double element = ElementAsFloat64(array, i);
    if (!std::isfinite(element)) continue;
    const bool is_first = digest.finite_elements++ == 0;
    digest.smallest = is_first ? element : std::min(digest.smallest, element);
    digest.largest = is_first ? element : std::max(digest.largest, element);
    sum += element;
  }
  if (digest.finite_elements > 0) digest.mean = sum / static_cast<double>(digest.finite_elements);
  return digest;
}

}  // namespace attnd::cli

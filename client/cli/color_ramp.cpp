#include "client/cli/color_ramp.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace attnd::cli {

Rgb RampColor(double share) {
  const double position = std::clamp(share, 0.0, 1.0) * (kRamp.size() - 1);
  const auto low = std::min(static_cast<std::size_t>(position), kRamp.size() - 2);
  const double part = position - static_cast<double>(low);
  const auto mix = [&](int Rgb::* channel) {
    return static_cast<int>(std::lround(kRamp[low].*channel * (1 - part) + kRamp[low + 1].*channel * part));
  };
  return {mix(&Rgb::red), mix(&Rgb::green), mix(&Rgb::blue)};
}

}  // namespace attnd::cli

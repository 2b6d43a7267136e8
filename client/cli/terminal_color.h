// Colours as a terminal's sequences say them.
#pragma once

#include <cstdint>
#include <string>

#include "client/cli/color_ramp.h"

namespace attnd::cli {

enum class Color : std::uint8_t {
  kNone,       // shaded characters
  k256,        // the palette of 256 colours
  kTruecolor,  // 24 bits
};

enum class Ground : std::uint8_t { kFore, kBack };

// What stands between "\x1b[" and "m". `color` is not kNone.
std::string ColorSequence(const Rgb& rgb, Color color, Ground ground);

}  // namespace attnd::cli

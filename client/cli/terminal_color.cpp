#include "client/cli/terminal_color.h"

#include <absl/strings/str_format.h>

namespace attnd::cli {
namespace {

// The nearest of the palette's 6×6×6 cube, whose levels are 0, 95, 135, 175, 215 and 255.
int PaletteIndex(const Rgb& color) {
  const auto level = [](int value) { return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40; };
  return 16 + 36 * level(color.red) + 6 * level(color.green) + level(color.blue);
}

}  // namespace

std::string ColorSequence(const Rgb& rgb, Color color, Ground ground) {
  const int selector = ground == Ground::kFore ? 38 : 48;
  if (color == Color::kTruecolor) return absl::StrFormat("%d;2;%d;%d;%d", selector, rgb.red, rgb.green, rgb.blue);
  return absl::StrFormat("%d;5;%d", selector, PaletteIndex(rgb));
}

}  // namespace attnd::cli

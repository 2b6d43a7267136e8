// The colours of weights, the same in the terminal, in pictures and on the page.
#pragma once

#include <array>

namespace attnd::cli {

struct Rgb {
  int red = 0;
  int green = 0;
  int blue = 0;

  friend bool operator==(const Rgb&, const Rgb&) = default;
};

// Viridis (Nathaniel Smith, Stéfan van der Walt and Eric Firing for Matplotlib, CC0) at the 17 points 0, 1/16 … 1,
// rounded to 8 bits. Brightness rises evenly, so it also reads in grey and without telling red from green. Between the
// points colours are mixed linearly, which is nowhere more than 6 of 255 off.
inline constexpr std::array<Rgb, 17> kRamp = {{{68, 1, 84},
                                               {72, 24, 106},
                                               {71, 45, 123},
                                               {66, 64, 134},
                                               {59, 82, 139},
                                               {51, 99, 141},
                                               {44, 114, 142},
                                               {38, 129, 142},
                                               {33, 144, 140},
                                               {31, 159, 136},
                                               {40, 174, 128},
                                               {62, 188, 116},
                                               {93, 201, 99},
                                               {130, 211, 76},
                                               {171, 220, 50},
                                               {213, 226, 26},
                                               {253, 231, 37}}};

// What is no finite number: a red that the ramp has not.
inline constexpr Rgb kNotFiniteColor = {214, 48, 49};

// `share` of the largest weight, clamped to 0 to 1.
Rgb RampColor(double share);

}  // namespace attnd::cli

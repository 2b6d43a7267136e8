// Heads as pictures: a PNG of 256 colours, in which every cell is a rectangle of whole pixels, mostly a square.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "client/cli/attention_layer.h"
#include "client/cli/attention_map.h"
#include "client/cli/color_ramp.h"

namespace attnd::cli {

// What a pixel may be: kColors steps of the ramp, then these two.
inline constexpr int kColors = 254;
inline constexpr std::uint8_t kNotFinitePixel = 254;
inline constexpr std::uint8_t kClearPixel = 255;  // transparent: nothing is known, or no head is there

struct Picture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> pixels;  // [height, width]
  std::string description;
};

// The step of the ramp for a weight of a map in which this is the largest.
std::uint8_t PixelOf(double weight, double largest);

// One head, its cells up to 32 pixels wide. A map beyond 4096 rows or columns is pooled.
absl::StatusOr<Picture> DrawHead(const AttentionLayer& layer, std::int64_t head);

// All heads, a row for each layer, each with its own largest weight as the end of its colours.
absl::StatusOr<Picture> DrawHeads(const std::vector<AttentionLayer>& layers);

}  // namespace attnd::cli

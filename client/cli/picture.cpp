#include "client/cli/picture.h"

#include <absl/strings/str_format.h>

#include <algorithm>
#include <cmath>

namespace attnd::cli {
namespace {

// Below what common viewers and browsers open.
constexpr std::int64_t kMaxSide = 16384;
// Of one head's longer side.
constexpr std::int64_t kMaxHeadSide = 4096;
constexpr std::int64_t kWantedHeadSide = 960;
constexpr std::int64_t kWantedSideInGrid = 128;
constexpr std::int64_t kMaxCellSide = 32;
// Where the other side of the map leaves it room.
constexpr std::int64_t kMinCellSide = 8;

struct Place {
  std::int64_t x = 0;
  std::int64_t y = 0;
};

// How a head's cells become pixels: `factor` of them one, and that one so many pixels.
struct Scale {
  std::int64_t factor = 1;
  std::int64_t cell_width = 1;
  std::int64_t cell_height = 1;
};

// Cells are squares, but for those of a map that would be a mere line, as of one query and many keys.
Scale ScaleFor(std::int64_t rows, std::int64_t columns, std::int64_t wanted_side, std::int64_t max_side) {
  const std::int64_t longest = std::max<std::int64_t>({rows, columns, 1});
  const std::int64_t side = std::clamp<std::int64_t>(wanted_side / longest, 1, kMaxCellSide);
  const auto side_for = [&](std::int64_t cells) {
    return std::max(side, std::min(wanted_side / std::max<std::int64_t>(cells, 1), kMinCellSide));
  };
  return {.factor = PooledSize(longest, max_side), .cell_width = side_for(columns), .cell_height = side_for(rows)};
}

std::int64_t Width(std::int64_t columns, const Scale& scale) {
  return PooledSize(columns, scale.factor) * scale.cell_width;
}

std::int64_t Height(std::int64_t rows, const Scale& scale) {
  return PooledSize(rows, scale.factor) * scale.cell_height;
}

Picture Clear(std::int64_t width, std::int64_t height) {
  Picture picture{.width = std::max<std::int64_t>(width, 1),
                  .height = std::max<std::int64_t>(height, 1),
                  .pixels = {},
                  .description = {}};
  picture.pixels.assign(static_cast<std::size_t>(picture.width * picture.height), kClearPixel);
  return picture;
}

void Paint(const HeatMap& map, const Place& at, const Scale& scale, Picture& picture) {
  const double largest = LargestWeight(map.values);
  for (std::int64_t y = 0; y < map.rows * scale.cell_height; ++y) {
    std::uint8_t* pixel = picture.pixels.data() + (at.y + y) * picture.width + at.x;
    const double* const values = map.values.data() + y / scale.cell_height * map.columns;
    for (std::int64_t column = 0; column < map.columns; ++column) {
      pixel = std::fill_n(pixel, scale.cell_width, PixelOf(values[column], largest));
    }
  }
}

}  // namespace

std::uint8_t PixelOf(double weight, double largest) {
  if (weight == kUnknownWeight) return kClearPixel;
  if (!std::isfinite(weight)) return kNotFinitePixel;
  return static_cast<std::uint8_t>(std::lround(largest > 0 ? weight / largest * (kColors - 1) : 0));
}

absl::StatusOr<Picture> DrawHead(const AttentionLayer& layer, std::int64_t head) {
  const Scale scale = ScaleFor(layer.rows(), layer.columns(), kWantedHeadSide, kMaxHeadSide);
  const auto map = layer.Pooled(head, scale.factor, scale.factor);
  if (!map.ok()) return map.status();
  Picture picture = Clear(Width(layer.columns(), scale), Height(layer.rows(), scale));
  Paint(*map, {}, scale, picture);
  picture.description =
      absl::StrFormat("%s, head %d: %d x %d weights, colours (viridis) from 0 to %.4g", layer.names().tensor, head,
                      layer.rows(), layer.columns(), LargestWeight(map->values));
  if (scale.factor > 1) {
    picture.description += absl::StrFormat(", a pixel is the largest of %d x %d", scale.factor, scale.factor);
  }
  return picture;
}

absl::StatusOr<Picture> DrawHeads(const std::vector<AttentionLayer>& layers) {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t heads = 1;
  for (const AttentionLayer& layer : layers) {
    rows = std::max(rows, layer.rows());
    columns = std::max(columns, layer.columns());
    heads = std::max(heads, layer.head_count());
  }
  const auto layer_count = static_cast<std::int64_t>(layers.size());
  const std::int64_t max_side = std::max<std::int64_t>(kMaxSide / std::max(heads, layer_count) - 1, 1);
  const Scale scale = ScaleFor(rows, columns, kWantedSideInGrid, std::min(max_side, kMaxHeadSide));
  const std::int64_t width = Width(columns, scale);
  const std::int64_t height = Height(rows, scale);
  const std::int64_t gap = std::clamp<std::int64_t>(std::max(width, height) / 24, 1, 8);
  Picture picture = Clear(heads * (width + gap) - gap, layer_count * (height + gap) - gap);
  for (std::int64_t i = 0; i < layer_count; ++i) {
    const AttentionLayer& layer = layers[static_cast<std::size_t>(i)];
    for (std::int64_t head = 0; head < layer.head_count(); ++head) {
      const auto map = layer.Pooled(head, scale.factor, scale.factor);
      if (!map.ok()) return map.status();
      Paint(*map, {.x = head * (width + gap), .y = i * (height + gap)}, scale, picture);
    }
  }
  picture.description =
      absl::StrFormat("%d layers (rows) x %d heads (columns), colours (viridis) from 0 to the largest of each head",
                      layer_count, heads);
  return picture;
}

}  // namespace attnd::cli

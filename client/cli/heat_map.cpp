#include "client/cli/heat_map.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "client/cli/color_ramp.h"
#include "client/cli/text.h"

namespace attnd::cli {
namespace {

constexpr int kMaxRowLabelWidth = 16;
constexpr int kMaxColumnLabelHeight = 14;
constexpr int kMaxCellWidth = 4;
constexpr int kMinPercentCellWidth = 3;
constexpr int kLegendColorCells = 24;

constexpr const char* kShades[] = {" ", "░", "▒", "▓", "█"};
constexpr int kShadeCount = static_cast<int>(std::size(kShades));

bool IsBright(const Rgb& color) { return 0.299 * color.red + 0.587 * color.green + 0.114 * color.blue > 128; }

// The text with the colour of the share, which is from 0 to 1, behind it.
std::string Colored(double share, const std::string& text, Color color) {
  const Rgb rgb = RampColor(share);
  return absl::StrCat("\x1b[", ColorSequence(rgb, color, Ground::kBack), IsBright(rgb) ? ";38;5;16m" : ";38;5;254m",
                      text, "\x1b[0m");
}

std::string Spaces(int count) { return std::string(static_cast<std::size_t>(std::max(count, 0)), ' '); }

class Drawing {
 public:
  Drawing(const HeatMap& map, const HeatMapStyle& style, int label_width, int cell_width)
      : map_(map),
        color_(style.color),
        label_width_(label_width),
        cell_width_(cell_width),
        largest_(LargestWeight(map.values)) {
    shows_percent_ = color_ != Color::kNone && cell_width_ >= kMinPercentCellWidth && largest_ <= 1 + 1e-3;
  }

  std::string Draw() const {
    std::string drawing = ColumnLabels();
    for (std::int64_t row = 0; row < map_.rows; ++row) {
      const std::string label = Fit(map_.row_labels[static_cast<std::size_t>(row)], label_width_);
      absl::StrAppend(&drawing, Spaces(label_width_ - Width(label)), label, " ");
      if (color_ == Color::kNone) absl::StrAppend(&drawing, "│");
      for (std::int64_t column = 0; column < map_.columns; ++column) {
        absl::StrAppend(&drawing, Cell(map_.values[static_cast<std::size_t>(row * map_.columns + column)]));
      }
      absl::StrAppend(&drawing, color_ == Color::kNone ? "│\n" : "\n");
    }
    absl::StrAppend(&drawing, "\n", Legend(), "\n");
    return drawing;
  }

 private:
  // Downwards, their ends at the cells.
  std::string ColumnLabels() const {
    std::vector<std::vector<Glyph>> labels;
    std::size_t height = 0;
    for (const std::string& label : map_.column_labels) {
      std::vector<Glyph> glyphs = Glyphs(label);
      if (glyphs.size() > kMaxColumnLabelHeight) {
        glyphs.resize(kMaxColumnLabelHeight - 1);
        glyphs.push_back({"…", 1});
      }
      height = std::max(height, glyphs.size());
      labels.push_back(std::move(glyphs));
    }
    std::string lines;
    for (std::size_t line = 0; line < height; ++line) {
      std::string text = Spaces(label_width_ + (color_ == Color::kNone ? 2 : 1));
      for (const auto& glyphs : labels) {
        const std::size_t skipped = height - glyphs.size();
        absl::StrAppend(&text, line < skipped ? Spaces(cell_width_) : Centered(glyphs[line - skipped]));
      }
      text.resize(text.find_last_not_of(' ') + 1);
      absl::StrAppend(&lines, text, "\n");
    }
    return lines;
  }

  // A character that is wider than the cell would push the others aside.
  std::string Centered(const Glyph& glyph) const {
    if (glyph.width > cell_width_) return Spaces(cell_width_);
    const int before = (cell_width_ - glyph.width) / 2;
    return absl::StrCat(Spaces(before), glyph.bytes, Spaces(cell_width_ - glyph.width - before));
  }

  std::string Cell(double value) const {
    if (!std::isfinite(value)) return std::string(static_cast<std::size_t>(cell_width_), '?');
    const double share = largest_ > 0 ? value / largest_ : 0;
    if (color_ == Color::kNone) return Shaded(share);
    std::string text = Spaces(cell_width_);
    const long percent = std::lround(value * 100);
    if (shows_percent_ && percent > 0) text = absl::StrFormat("%3d", percent) + Spaces(cell_width_ - 3);
    return Colored(share, text, color_);
  }

  // At most two characters wide, so that there is air between the columns where there is room.
  std::string Shaded(double share) const {
    const int shade = std::clamp(static_cast<int>(share * kShadeCount), 0, kShadeCount - 1);
    const int width = std::min(cell_width_, 2);
    std::string text;
    for (int i = 0; i < width; ++i) text += kShades[shade];
    return text + Spaces(cell_width_ - width);
  }

  std::string Legend() const {
    std::string legend;
    if (color_ == Color::kNone) {
      for (int shade = 1; shade < kShadeCount; ++shade) {
        absl::StrAppendFormat(&legend, "%s from %.2f  ", kShades[shade], largest_ * shade / kShadeCount);
      }
      return absl::StrFormat("%slargest %.2f", legend, largest_);
    }
    legend = "0 ";
    for (int cell = 0; cell < kLegendColorCells; ++cell) {
      absl::StrAppend(&legend, Colored(static_cast<double>(cell) / (kLegendColorCells - 1), " ", color_));
    }
    return absl::StrFormat("%s %.2f, the largest weight%s", legend, largest_,
                           shows_percent_ ? "; numbers are percent" : "");
  }

  const HeatMap& map_;
  const Color color_;
  const int label_width_;
  const int cell_width_;
  const double largest_;
  bool shows_percent_ = false;
};

}  // namespace

std::string DrawHeatMap(const HeatMap& map, const HeatMapStyle& style) {
  int label_width = 1;
  for (const std::string& label : map.row_labels) label_width = std::max(label_width, Width(label));
  label_width = std::min({label_width, kMaxRowLabelWidth, std::max(style.width / 4, 1)});
  constexpr int kFrameWidth = 3;
  const int room = std::max(style.width - label_width - kFrameWidth, 1);

  const std::int64_t factor = std::max<std::int64_t>(PooledSize(map.columns, room), 1);
  if (factor == 1) {
    const int cell_width =
        static_cast<int>(std::min<std::int64_t>(room / std::max<std::int64_t>(map.columns, 1), kMaxCellWidth));
    return Drawing(map, style, label_width, cell_width).Draw();
  }
  const HeatMap pooled = Pool(map, factor, factor);
  const int cell_width = static_cast<int>(room / pooled.columns);
  return absl::StrFormat("%sA cell is %d×%d weights, of which the largest is shown; labels are those of the first.\n",
                         Drawing(pooled, style, label_width, cell_width).Draw(), factor, factor);
}

}  // namespace attnd::cli

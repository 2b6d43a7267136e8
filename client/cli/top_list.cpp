#include "client/cli/top_list.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>

#include "client/cli/color_ramp.h"
#include "client/cli/terminal_color.h"
#include "client/cli/text.h"

namespace attnd::cli {
namespace {

constexpr int kMaxQueryLabelWidth = 16;
constexpr int kMaxKeyLabelWidth = 10;
constexpr int kBarWidth = 6;
constexpr int kWeightWidth = 5;  // " 0.29"
constexpr int kGapWidth = 2;
// The middle of the ramp, which is seen on dark and on light terminals.
constexpr double kBarColor = 0.5;

// Eighths of a column, from none to all but one.
constexpr const char* kEighths[] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};

std::string Padded(const std::string& text, int width) {
  return text + std::string(static_cast<std::size_t>(std::max(width - Width(text), 0)), ' ');
}

// kBarWidth columns, of which the share is filled.
std::string Bar(double share, Color color) {
  const int eighths = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * kBarWidth * 8));
  std::string bar;
  for (int i = 0; i < eighths / 8; ++i) bar += "█";
  if (eighths / 8 < kBarWidth) bar += kEighths[eighths % 8];
  bar = Padded(bar, kBarWidth);
  if (color == Color::kNone) return bar;
  return absl::StrCat("\x1b[", ColorSequence(RampColor(kBarColor), color, Ground::kFore), "m", bar, "\x1b[0m");
}

class Drawing {
 public:
  Drawing(const TopKeys& top, const HeatMapStyle& style)
      : top_(top), color_(style.color), largest_(LargestWeight(top.weights)) {
    for (const std::string& label : top.row_labels) query_width_ = std::max(query_width_, Width(label));
    query_width_ = std::min({query_width_, kMaxQueryLabelWidth, std::max(style.width / 4, 1)});
    for (const std::int32_t key : std::set<std::int32_t>(top.keys.begin(), top.keys.end())) {
      if (key >= 0) key_width_ = std::max(key_width_, Width(top.column_labels[static_cast<std::size_t>(key)]));
    }
    key_width_ = std::min(key_width_, kMaxKeyLabelWidth);
    number_width_ = static_cast<int>(std::to_string(std::max<std::int64_t>(top.columns - 1, 0)).size());
    const int entry_width = kGapWidth + number_width_ + 1 + key_width_ + kWeightWidth + 1 + kBarWidth;
    const std::int64_t fitting = std::max((style.width - query_width_) / entry_width, 1);
    const std::int64_t lines = std::max<std::int64_t>((top.k + fitting - 1) / fitting, 1);
    entries_a_line_ = (top.k + lines - 1) / lines;  // as many on each line
  }

  std::string Draw() const {
    std::string drawing;
    for (std::int64_t row = 0; row < top_.rows; ++row) {
      const std::string label = Fit(top_.row_labels[static_cast<std::size_t>(row)], query_width_);
      std::string line = absl::StrCat(std::string(static_cast<std::size_t>(query_width_ - Width(label)), ' '), label);
      std::int64_t entries = 0;
      for (std::int64_t i = row * top_.k; i < (row + 1) * top_.k; ++i) {
        if (top_.keys[static_cast<std::size_t>(i)] < 0) continue;
        if (entries > 0 && entries % entries_a_line_ == 0) {
          Append(drawing, line);
          line = std::string(static_cast<std::size_t>(query_width_), ' ');
        }
        absl::StrAppend(&line, std::string(kGapWidth, ' '), Entry(static_cast<std::size_t>(i)));
        ++entries;
      }
      Append(drawing, line);
    }
    return absl::StrFormat("%s\nA full bar is %.2f, the largest weight\n", drawing, largest_);
  }

 private:
  static void Append(std::string& drawing, const std::string& line) {
    absl::StrAppend(&drawing, line.substr(0, line.find_last_not_of(' ') + 1), "\n");
  }

  std::string Entry(std::size_t i) const {
    const std::int32_t key = top_.keys[i];
    const double weight = top_.weights[i];
    const std::string token = Fit(top_.column_labels[static_cast<std::size_t>(key)], key_width_);
    const std::string label = absl::StrFormat("%*d %s", number_width_, key, Padded(token, key_width_));
    if (!std::isfinite(weight)) return absl::StrCat(label, Padded("    ?", kWeightWidth + 1 + kBarWidth));
    const double share = largest_ > 0 ? weight / largest_ : 0;
    return absl::StrFormat("%s %.2f %s", label, weight, Bar(share, color_));
  }

  const TopKeys& top_;
  const Color color_;
  const double largest_;
  int query_width_ = 1;
  int key_width_ = 1;
  int number_width_ = 1;
  std::int64_t entries_a_line_ = 1;
};

}  // namespace

std::string DrawTopKeys(const TopKeys& top, const HeatMapStyle& style) { return Drawing(top, style).Draw(); }

}  // namespace attnd::cli

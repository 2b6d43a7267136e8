#include "client/cli/heat_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "client/cli/text.h"

namespace attnd::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Without the sequences that set colours.
std::string WithoutColors(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = text.find('m', i);
    } else {
      plain += text[i];
    }
  }
  return plain;
}

HeatMap Numbered(std::int64_t rows, std::int64_t columns, double value) {
  HeatMap map{.rows = rows, .columns = columns, .values = {}, .row_labels = {}, .column_labels = {}};
  map.values.assign(static_cast<std::size_t>(rows * columns), value);
  for (std::int64_t i = 0; i < rows; ++i) map.row_labels.push_back(std::to_string(i));
  for (std::int64_t i = 0; i < columns; ++i) map.column_labels.push_back(std::to_string(i));
  return map;
}

HeatMap TwoTokens() {
  return {.rows = 2,
          .columns = 2,
          .values = {0.5, 0, 0.25, 0.375},
          .row_labels = {"the", "cat"},
          .column_labels = {"the", "cat"}};
}

TEST(HeatMap, ShadesReadAsAPicture) {
  EXPECT_EQ(DrawHeatMap(TwoTokens(), {.width = 40, .color = Color::kNone}),
            "      t   c\n"
            "      h   a\n"
            "      e   t\n"
            "the │██      │\n"
            "cat │▒▒  ▓▓  │\n"
            "\n"
            "░ from 0.10  ▒ from 0.20  ▓ from 0.30  █ from 0.40  largest 0.50\n");
}

TEST(HeatMap, ColoursCarryThePercent) {
  for (const Color color : {Color::k256, Color::kTruecolor}) {
    const std::string drawing = DrawHeatMap(TwoTokens(), {.width = 40, .color = color});
    const std::vector<std::string> lines = Lines(WithoutColors(drawing));
    ASSERT_EQ(lines.size(), 7);
    EXPECT_EQ(lines[3], "the  50     ");
    EXPECT_EQ(lines[4], "cat  25  38 ");
    EXPECT_THAT(lines[6], HasSubstr("0.50, the largest weight; numbers are percent"));
    EXPECT_THAT(drawing, HasSubstr(color == Color::k256 ? "\x1b[48;5;" : "\x1b[48;2;"));
    // Every colour ends where its cell does.
    for (const std::string& line : Lines(drawing)) {
      const bool has_color = line.find('\x1b') != std::string::npos;
      EXPECT_TRUE(!has_color || line.ends_with("\x1b[0m") || line.find("\x1b[0m ") != std::string::npos) << line;
    }
  }
}

TEST(HeatMap, WithoutColourNothingIsASequence) {
  HeatMap map = TwoTokens();
  map.row_labels[0] = "\x1b[31m";
  map.column_labels[0] = "\x1b[2J";
  EXPECT_THAT(DrawHeatMap(map, {.width = 40, .color = Color::kNone}), Not(HasSubstr("\x1b")));
}

TEST(HeatMap, FitsIntoTheWidth) {
  for (const int width : {20, 40, 80, 133}) {
    for (const std::int64_t columns : {1, 7, 15, 40, 100, 1000}) {
      for (const Color color : {Color::kNone, Color::k256}) {
        const std::string drawing = DrawHeatMap(Numbered(3, columns, 0.1), {.width = width, .color = color});
        for (const std::string& line : Lines(WithoutColors(drawing))) {
          if (line.find("largest") != std::string::npos) continue;  // the legend, and what a cell is
          EXPECT_LE(Width(line), width) << columns << " columns: " << line;
        }
      }
    }
  }
}

TEST(HeatMap, WhatIsTooWideIsPooledByItsLargest) {
  HeatMap map = Numbered(64, 64, 0);
  map.values[63 * 64 + 62] = 1;
  const std::string drawing = DrawHeatMap(map, {.width = 40, .color = Color::kNone});
  EXPECT_THAT(drawing, HasSubstr("A cell is 2×2 weights, of which the largest is shown"));
  const std::vector<std::string> lines = Lines(drawing);
  ASSERT_EQ(lines.size(), 2 + 32 + 3);  // labels of two digits, rows, legend
  EXPECT_THAT(lines[2 + 31], HasSubstr("62 │"));
  EXPECT_THAT(lines[2 + 31], HasSubstr("█│"));
  EXPECT_THAT(lines[2 + 30], Not(HasSubstr("█")));
}

TEST(HeatMap, LongLabelsAreCut) {
  HeatMap map = TwoTokens();
  map.row_labels[0] = map.column_labels[0] = std::string(100, 'x');
  const std::vector<std::string> lines = Lines(DrawHeatMap(map, {.width = 80, .color = Color::kNone}));
  EXPECT_EQ(lines.size(), 14 + 2 + 2);
  EXPECT_THAT(lines[14], HasSubstr("xxx… │"));
}

TEST(HeatMap, ShowsWhatIsNoNumber) {
  HeatMap map = TwoTokens();
  map.values[1] = std::numeric_limits<double>::quiet_NaN();
  map.values[2] = std::numeric_limits<double>::infinity();
  const std::string drawing = DrawHeatMap(map, {.width = 40, .color = Color::kNone});
  EXPECT_THAT(drawing, HasSubstr("the │██  ????│"));
  EXPECT_THAT(drawing, HasSubstr("cat │????▓▓  │"));
  EXPECT_THAT(drawing, HasSubstr("largest 0.50"));
}

TEST(HeatMap, ANanIsNotPooledAway) {
  HeatMap map = Numbered(100, 100, 0.5);
  map.values[5000] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(DrawHeatMap(map, {.width = 40, .color = Color::kNone}), HasSubstr("?"));
}

TEST(HeatMap, AllZerosAndNoRowsAreDrawnToo) {
  EXPECT_THAT(DrawHeatMap(Numbered(2, 2, 0), {.width = 40, .color = Color::kNone}), HasSubstr("largest 0.00"));
  EXPECT_THAT(DrawHeatMap(Numbered(0, 0, 0), {.width = 40, .color = Color::kNone}), HasSubstr("largest 0.00"));
  EXPECT_THAT(DrawHeatMap(Numbered(0, 0, 0), {.width = 40, .color = Color::k256}), HasSubstr("0.00"));
}

}  // namespace
}  // namespace attnd::cli

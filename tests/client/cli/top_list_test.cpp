#include "client/cli/top_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>
#include <string>

#include "client/cli/text.h"

namespace attnd::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

TopKeys TwoQueries() {
  return {.rows = 2,
          .k = 2,
          .columns = 3,
          .keys = {2, 0, 1, -1},
          .weights = {0.5, 0.25, 0.375, 0},
          .row_labels = {"the", "cat"},
          .column_labels = {"the", "cat", "sat"}};
}

TEST(TopList, HasALineForEachQuery) {
  EXPECT_EQ(DrawTopKeys(TwoQueries(), {.width = 60, .color = Color::kNone}),
            "the  2 sat 0.50 ██████  0 the 0.25 ███\n"
            "cat  1 cat 0.38 ████▌\n"
            "\n"
            "A full bar is 0.50, the largest weight\n");
}

TEST(TopList, GoesOnInTheNextLineWhereItIsTooWide) {
  EXPECT_EQ(DrawTopKeys(TwoQueries(), {.width = 30, .color = Color::kNone}),
            "the  2 sat 0.50 ██████\n"
            "     0 the 0.25 ███\n"
            "cat  1 cat 0.38 ████▌\n"
            "\n"
            "A full bar is 0.50, the largest weight\n");
}

TEST(TopList, FitsIntoTheWidth) {
  for (const int width : {36, 50, 80, 133}) {
    TopKeys top = TwoQueries();
    top.row_labels[0] = top.column_labels[2] = std::string(50, 'x');
    std::istringstream lines(DrawTopKeys(top, {.width = width, .color = Color::kNone}));
    for (std::string line; std::getline(lines, line) && !line.empty();) EXPECT_LE(Width(line), width) << line;
  }
}

TEST(TopList, ColoursTheBars) {
  EXPECT_THAT(DrawTopKeys(TwoQueries(), {.width = 60, .color = Color::kTruecolor}),
              HasSubstr("0.50 \x1b[38;2;33;144;140m██████\x1b[0m"));
  EXPECT_THAT(DrawTopKeys(TwoQueries(), {.width = 60, .color = Color::k256}), HasSubstr("\x1b[38;5;"));
}

TEST(TopList, NothingInATokenSteersTheTerminal) {
  TopKeys top = TwoQueries();
  top.row_labels[0] = top.column_labels[2] = "\x1b[2J\n";
  EXPECT_THAT(DrawTopKeys(top, {.width = 60, .color = Color::kNone}), Not(HasSubstr("\x1b")));
}

TEST(TopList, ShowsWhatIsNoNumber) {
  TopKeys top = TwoQueries();
  top.weights[0] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(DrawTopKeys(top, {.width = 60, .color = Color::kNone}), HasSubstr("2 sat    ?"));
}

}  // namespace
}  // namespace attnd::cli

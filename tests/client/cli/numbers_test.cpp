// Numbers as the command line gives them.
#include "client/cli/numbers.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace attnd::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
void ExpectRefused(const absl::StatusOr<T>& parsed, const std::string& text) {
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_THAT(std::string(parsed.status().message()), AllOf(HasSubstr("--option"), HasSubstr(text)));
}

TEST(Numbers, AListIsToldFromATensor) {
  for (const char* list : {"1", "1,2", "-3,4", "1,,2", "0-3, 7"}) EXPECT_TRUE(IsListOfIntegers(list)) << list;
  for (const char* list : {"0.5", "-1e-3,+2", "-inf,1", "1,,2"}) EXPECT_TRUE(IsListOfNumbers(list)) << list;
  for (const char* tensor : {"lengths", "lengths.npy", "1.npy", "./1.npy"}) {
    EXPECT_FALSE(IsListOfIntegers(tensor)) << tensor;
    EXPECT_FALSE(IsListOfNumbers(tensor)) << tensor;
  }
}

TEST(Numbers, Integers) {
  EXPECT_THAT(ParseIntegers("--option", "15,-9, 12", "").value(), ElementsAre(15, -9, 12));
  for (const char* text : {"", "1,", ",1", "1,,2", "1-2", "x", "99999999999999999999"}) {
    ExpectRefused(ParseIntegers("--option", text, "something else"), text);
    ExpectRefused(ParseIntegers("--option", text, "something else"), "expected something else");
  }
}

TEST(Numbers, RangesHaveBothEnds) {
  EXPECT_THAT(ParseRanges("--option", "0-3,7,9-9").value(), ElementsAre(0, 1, 2, 3, 7, 9));
  for (const char* text : {"", "1,", "3-1", "-1", "1-2-3", "1-", "-", "x"}) {
    ExpectRefused(ParseRanges("--option", text), text);
  }
}

TEST(Numbers, RangesAreNotWithoutEnd) {
  EXPECT_EQ(ParseRanges("--option", "1-16777216")->size(), std::size_t{1} << 24);
  ExpectRefused(ParseRanges("--option", "0-16777216"), "at most 16777216 numbers");
  ExpectRefused(ParseRanges("--option", "0-9,0-16777210"), "at most 16777216 numbers");
  ExpectRefused(ParseRanges("--option", "0-9223372036854775807"), "at most");
}

TEST(Numbers, Floats) {
  EXPECT_THAT(ParseNumbers("--option", "0.5,-2e1, -inf").value(),
              ElementsAre(0.5F, -20, -std::numeric_limits<float>::infinity()));
  for (const char* text : {"", "1,,2", "1;2", "x"}) ExpectRefused(ParseNumbers("--option", text), text);
}

TEST(Numbers, AGridHasRowsAndColumns) {
  EXPECT_EQ(ParseGrid("--option", "32x64").value(), std::pair(std::int64_t{32}, std::int64_t{64}));
  for (const char* text : {"", "32", "32x", "x64", "32x64x1", "32*64"}) {
    ExpectRefused(ParseGrid("--option", text), text);
  }
}

}  // namespace
}  // namespace attnd::cli

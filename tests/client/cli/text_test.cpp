#include "client/cli/text.h"

#include <gtest/gtest.h>

#include <string>

namespace attnd::cli {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

TEST(Text, PlainTextStaysAsItIs) {
  EXPECT_EQ(Printable("It's 5 > 3 ~"), "It's 5 > 3 ~");
  EXPECT_EQ(Printable("naïve ключ 猫 🐈"), "naïve ключ 猫 🐈");
  EXPECT_EQ(Printable(""), "");
}

TEST(Text, NothingInItSteersTheTerminal) {
  const std::string r = kReplacement;
  EXPECT_EQ(Printable("a\x1b[31mb"), "a" + r + "[31mb");
  EXPECT_EQ(Printable("a\nb\rc\td\x7f"), "a" + r + "b" + r + "c" + r + "d" + r);
  EXPECT_EQ(Printable(std::string_view("\0", 1)), r);
  EXPECT_EQ(Printable("\xc2\x9b"
                      "31m"),
            r + "31m");  // U+009B begins a sequence as ESC [ does
}

TEST(Text, WhatIsNoUtf8IsReplacedByteForByte) {
  const std::string r = kReplacement;
  EXPECT_EQ(Printable("\x80"), r);
  EXPECT_EQ(Printable("\xff\xfe"), r + r);
  EXPECT_EQ(Printable("a\xe7\x8c"), "a" + r + r);           // cut
  EXPECT_EQ(Printable("\xc0\xaf"), r + r);                  // longer than needed
  EXPECT_EQ(Printable("\xed\xa0\x80"), r + r + r);          // half of a pair
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), r + r + r + r);  // past U+10FFFF
  EXPECT_EQ(Printable("\xf0\x9f\x90\x88\xf0"), "\xf0\x9f\x90\x88" + r);
}

TEST(Text, WidthIsInColumns) {
  EXPECT_EQ(Width("abc"), 3);
  EXPECT_EQ(Width("ключ"), 4);
  EXPECT_EQ(Width("猫"), 2);
  EXPECT_EQ(Width("e\xcc\x81"), 1);  // with a combining accent
  EXPECT_EQ(Width("\x1b"), 1);
  EXPECT_EQ(Width(""), 0);
}

TEST(Text, AMarkIsPartOfItsCharacter) {
  const auto glyphs = Glyphs("e\xcc\x81x");
  ASSERT_EQ(glyphs.size(), 2);
  EXPECT_EQ(glyphs[0].bytes, "e\xcc\x81");
  // Alone it has nothing to combine with.
  EXPECT_EQ(Glyphs("\xcc\x81").size(), 0);
}

TEST(Text, FitsIntoItsColumns) {
  EXPECT_EQ(Fit("abcdef", 6), "abcdef");
  EXPECT_EQ(Fit("abcdef", 5), "abcd…");
  EXPECT_EQ(Fit("abcdef", 1), "…");
  EXPECT_EQ(Fit("猫猫猫", 6), "猫猫猫");
  EXPECT_EQ(Fit("猫猫猫", 5), "猫猫…");
  EXPECT_EQ(Fit("猫猫猫", 4), "猫…");
}

}  // namespace
}  // namespace attnd::cli

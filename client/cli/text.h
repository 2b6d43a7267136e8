// Text for a terminal: who wrote it is unknown, and not every character is one column wide.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attnd::cli {

// What stands in one or two columns: a character with the marks that combine with it.
struct Glyph {
  std::string bytes;
  int width = 1;
};

// Takes UTF-8. Control characters and bytes that are no UTF-8 become "�", so that nothing in it can steer the terminal.
std::vector<Glyph> Glyphs(std::string_view text);

// The same as one string.
std::string Printable(std::string_view text);

// Columns that the text takes.
int Width(std::string_view text);

// As many columns as given, at least 1: cut with "…" where too long.
std::string Fit(std::string_view text, int width);

}  // namespace attnd::cli

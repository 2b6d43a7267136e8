#include "client/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace attnd::cli {
namespace {

std::string_view Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

}  // namespace

Color TerminalColor() {
  if (isatty(STDOUT_FILENO) == 0 || !Environment("NO_COLOR").empty()) return Color::kNone;
  const std::string_view colors = Environment("COLORTERM");
  if (colors == "truecolor" || colors == "24bit") return Color::kTruecolor;
  return Environment("TERM").find("256color") != std::string_view::npos ? Color::k256 : Color::kNone;
}

int TerminalWidth() {
  constexpr int kDefaultWidth = 100;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const std::string_view columns = Environment("COLUMNS");
  int width = 0;
  std::from_chars(columns.data(), columns.data() + columns.size(), width);
  return width > 0 ? width : kDefaultWidth;
}

}  // namespace attnd::cli

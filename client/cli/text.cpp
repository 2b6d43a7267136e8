#include "client/cli/text.h"

#include <wchar.h>

#include <clocale>
#include <cwchar>
#include <locale>

namespace attnd::cli {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";  // U+FFFD
constexpr char kEllipsis[] = "\xE2\x80\xA6";     // U+2026

struct Decoded {
  char32_t code = 0;
  std::size_t size_bytes = 0;  // 0: no UTF-8
};

// The first character of a text that is not empty.
Decoded DecodeUtf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const std::size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < size) return {};
  char32_t code = byte(0) & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, size};
}

// 0, 1 or 2; below 0 where the character is not to be printed. The C library has the table, in a locale that knows
// Unicode.
int CharacterWidth(char32_t code) {
  static const locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return -1;
  if (code < 0x7f || unicode == nullptr) return 1;
  const locale_t previous = uselocale(unicode);
  const int width = wcwidth(static_cast<wchar_t>(code));
  uselocale(previous);
  return width;
}

}  // namespace

std::vector<Glyph> Glyphs(std::string_view text) {
  std::vector<Glyph> glyphs;
  while (!text.empty()) {
    const Decoded decoded = DecodeUtf8(text);
    const int width = decoded.size_bytes == 0 ? -1 : CharacterWidth(decoded.code);
    const std::size_t size_bytes = decoded.size_bytes == 0 ? 1 : decoded.size_bytes;
    if (width < 0) {
      glyphs.push_back({kReplacement, 1});
    } else if (width == 0 && !glyphs.empty()) {
      glyphs.back().bytes += text.substr(0, size_bytes);
    } else if (width > 0) {
      glyphs.push_back({std::string(text.substr(0, size_bytes)), width});
    }
    text.remove_prefix(size_bytes);
  }
  return glyphs;
}

std::string Printable(std::string_view text) {
  std::string printable;
  for (const Glyph& glyph : Glyphs(text)) printable += glyph.bytes;
  return printable;
}

int Width(std::string_view text) {
  int width = 0;
  for (const Glyph& glyph : Glyphs(text)) width += glyph.width;
  return width;
}

std::string Fit(std::string_view text, int width) {
  if (Width(text) <= width) return Printable(text);
  std::string fitted;
  int used = 1;  // the ellipsis
  for (const Glyph& glyph : Glyphs(text)) {
    if (used + glyph.width > width) break;
    fitted += glyph.bytes;
    used += glyph.width;
  }
  return fitted + kEllipsis;
}

}  // namespace attnd::cli

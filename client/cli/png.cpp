#include "client/cli/png.h"

#include <absl/strings/str_cat.h>
#include <png.h>

#include <array>
#include <cmath>
#include <csetjmp>
#include <cstddef>
#include <vector>

namespace attnd::cli {
namespace {

constexpr int kPaletteSize = 256;

png_color ToPng(const Rgb& color) {
  return {static_cast<png_byte>(color.red), static_cast<png_byte>(color.green), static_cast<png_byte>(color.blue)};
}

std::array<png_color, kPaletteSize> Palette() {
  std::array<png_color, kPaletteSize> palette{};
  for (std::size_t i = 0; i < kColors; ++i) palette[i] = ToPng(RampColor(static_cast<double>(i) / (kColors - 1)));
  palette[kNotFinitePixel] = ToPng(kNotFiniteColor);
  return palette;
}

// What libpng's callbacks see.
struct Output {
  std::string bytes;
  std::string error;
};

void Append(png_structp png, png_bytep bytes, std::size_t count) {
  static_cast<Output*>(png_get_io_ptr(png))->bytes.append(reinterpret_cast<const char*>(bytes), count);
}

void Fail(png_structp png, png_const_charp text) {
  static_cast<Output*>(png_get_error_ptr(png))->error = text;
  std::longjmp(png_jmpbuf(png), 1);  // NOLINT(modernize-avoid-setjmp-longjmp): how libpng reports
}

void Ignore(png_structp /*png*/, png_const_charp /*text*/) {}

// Has no object with a destructor: libpng leaves it by longjmp.
void Write(png_structp png, png_infop info, const Picture& picture, const png_color* palette, png_text* text,
           png_bytepp rows) {
  std::array<png_byte, kPaletteSize> opacity;
  opacity.fill(0xff);
  opacity[kClearPixel] = 0;
  png_set_IHDR(png, info, static_cast<png_uint_32>(picture.width), static_cast<png_uint_32>(picture.height), 8,
               PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_set_PLTE(png, info, palette, kPaletteSize);
  png_set_tRNS(png, info, opacity.data(), kPaletteSize, nullptr);
  png_set_text(png, info, text, 1);
  png_set_rows(png, info, rows);
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
}

}  // namespace

absl::StatusOr<std::string> EncodePng(const Picture& picture) {
  Output output;
  const auto palette = Palette();
  std::string keyword = "Description";
  std::string description = picture.description;
  png_text text{};
  text.compression = PNG_ITXT_COMPRESSION_NONE;  // UTF-8
  text.key = keyword.data();
  text.text = description.data();
  std::vector<png_bytep> rows;
  for (std::int64_t y = 0; y < picture.height; ++y) {
    rows.push_back(const_cast<png_bytep>(picture.pixels.data() + y * picture.width));
  }
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &output, Fail, Ignore);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  if (info == nullptr) {
    png_destroy_write_struct(&png, nullptr);
    return absl::ResourceExhaustedError("libpng has no memory");
  }
  png_set_write_fn(png, &output, Append, nullptr);
  // NOLINTNEXTLINE(modernize-avoid-setjmp-longjmp, cert-err52-cpp)
  if (setjmp(png_jmpbuf(png)) == 0) Write(png, info, picture, palette.data(), &text, rows.data());
  png_destroy_write_struct(&png, &info);
  if (!output.error.empty()) return absl::InternalError(absl::StrCat("PNG: ", output.error));
  return std::move(output.bytes);
}

}  // namespace attnd::cli

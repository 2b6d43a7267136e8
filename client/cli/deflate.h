// The only files that see zlib.
#pragma once

#include <string>
#include <string_view>

namespace attnd::cli {

// In the format of zlib, which browsers call "deflate".
std::string Deflate(std::string_view bytes);

}  // namespace attnd::cli

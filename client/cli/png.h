// The only files that see libpng.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>

#include "client/cli/picture.h"

namespace attnd::cli {

// A PNG of 8-bit palette indices; the picture's description stands in it as text.
absl::StatusOr<std::string> EncodePng(const Picture& picture);

}  // namespace attnd::cli

// NumPy's .npy format, versions 1 to 3: a header that is a Python dictionary, and one array's bytes.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <span>
#include <string>

#include "client/cli/array.h"

namespace attnd::cli {

// Takes '<f4', '<f2', '<i8', '<i4', '|b1' and '|u1' in C order. INVALID_ARGUMENT, saying what is wrong, for anything
// else. The array borrows the file's bytes.
absl::StatusOr<Array> ParseNpy(std::span<const std::byte> file);

// INVALID_ARGUMENT for bfloat16, for which the format has no name.
absl::Status WriteNpy(const std::string& path, const Array& array);

}  // namespace attnd::cli

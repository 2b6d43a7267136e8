// The safetensors format: 8 bytes of header size, a JSON header, and the tensors' bytes.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "client/cli/array.h"

namespace attnd::cli {

// Arrays borrow the file's bytes.
struct Safetensors {
  std::map<std::string, Array> tensors;
  std::map<std::string, std::string> metadata;
};

// A header above this is refused. It is read as a whole, and the largest models' are below one MiB.
inline constexpr std::size_t kMaxSafetensorsHeaderBytes = 16 << 20;

// Takes F32, BF16, F16, I64, I32, BOOL and U8. INVALID_ARGUMENT, saying what is wrong, for anything that is not exactly
// the format: among others tensors that overlap, leave holes, or do not end where the file does, and names that come
// twice.
absl::StatusOr<Safetensors> ParseSafetensors(std::span<const std::byte> file);

absl::Status WriteSafetensors(const std::string& path, const Safetensors& content);

}  // namespace attnd::cli

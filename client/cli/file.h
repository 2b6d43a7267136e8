// Whole files, in and out.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace attnd::cli {

// A file mapped for reading. The file must not be shortened while it is mapped.
class MappedFile {
 public:
  // NOT_FOUND and so on with the path in the text; INVALID_ARGUMENT where it is no regular file.
  static absl::StatusOr<MappedFile> Open(const std::string& path);

  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> bytes_;
};

// Writes the pieces one after the other. The file appears whole, or not at all: an earlier one stays until then. An
// error has the path in its text.
absl::Status WriteFile(const std::string& path, const std::vector<std::span<const std::byte>>& pieces);

}  // namespace attnd::cli

// A folder for one test's files, and files as bytes.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "tests/support/temporary_folder.h"

namespace attnd::cli {

class FolderTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.path(name); }
  // The file's path.
  std::string Write(const std::string& name, std::string_view content) const {
    return folder_.Write(name, std::string(content));
  }
  static std::string Read(const std::string& path);

  std::string folder() const { return folder_.path(); }

 private:
  const test::TemporaryFolder folder_;
};

inline std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

// The number's bytes, little-endian.
std::string LittleEndian(std::uint64_t number, std::size_t size_bytes);

// A safetensors file of this header, which is padded to nothing.
std::string SafetensorsFile(std::string_view header, std::string_view data);

// A .npy file of this header.
std::string NpyFile(int version, std::string_view header, std::string_view data);

}  // namespace attnd::cli

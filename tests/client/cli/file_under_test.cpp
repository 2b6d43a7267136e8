#include "tests/client/cli/file_under_test.h"

#include <cstdint>
#include <fstream>
#include <iterator>

namespace attnd::cli {

std::string FolderTest::Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string LittleEndian(std::uint64_t number, std::size_t size_bytes) {
  std::string bytes;
  for (std::size_t i = 0; i < size_bytes; ++i) bytes.push_back(static_cast<char>(number >> (8 * i) & 0xff));
  return bytes;
}

std::string SafetensorsFile(std::string_view header, std::string_view data) {
  return LittleEndian(header.size(), 8).append(header).append(data);
}

std::string NpyFile(int version, std::string_view header, std::string_view data) {
  std::string file("\x93NUMPY", 6);
  file.push_back(static_cast<char>(version));
  file.push_back('\0');
  return file.append(LittleEndian(header.size(), version == 1 ? 2 : 4)).append(header).append(data);
}

}  // namespace attnd::cli

#include "client/cli/npy.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "client/cli/file.h"

namespace attnd::cli {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
// Magic and version.
constexpr std::size_t kPreambleBytes = 8;
// The tensor's bytes start at a multiple of this.
constexpr std::size_t kAlignmentBytes = 64;
// NumPy itself warns above 10,000.
constexpr std::size_t kMaxHeaderBytes = 65536;

constexpr std::pair<DataType, std::string_view> kTypeNames[] = {
    {DataType::kFloat32, "<f4"}, {DataType::kFloat16, "<f2"}, {DataType::kInt64, "<i8"},
    {DataType::kInt32, "<i4"},   {DataType::kBool, "|b1"},    {DataType::kUint8, "|u1"}};

template <typename... Parts>
absl::Status Malformed(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("no valid .npy file: ", parts...));
}

struct Header {
  std::string descr;
  bool fortran_order = false;
  Shape shape;
};

// Reads the one form of Python dictionary that NumPy writes: strings, True or False, and a tuple of integers.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : rest_(text) {}

  // Empty where the text is something else.
  std::optional<Header> Read() {
    Header header;
    bool has_descr = false;
    bool has_order = false;
    bool has_shape = false;
    if (!Take("{")) return std::nullopt;
    while (!Take("}")) {
      const auto key = String();
      if (!key || !Take(":")) return std::nullopt;
      if (*key == "descr" && !std::exchange(has_descr, true)) {
        const auto descr = String();
        if (!descr) return std::nullopt;
        header.descr = *descr;
      } else if (*key == "fortran_order" && !std::exchange(has_order, true)) {
        header.fortran_order = Take("True");
        if (!header.fortran_order && !Take("False")) return std::nullopt;
      } else if (*key == "shape" && !std::exchange(has_shape, true)) {
        const auto shape = Tuple();
        if (!shape) return std::nullopt;
        header.shape = *shape;
      } else {
        return std::nullopt;
      }
      if (!Take(",") && !Peek("}")) return std::nullopt;
    }
    SkipSpace();
    if (!rest_.empty() || !has_descr || !has_order || !has_shape) return std::nullopt;
    return header;
  }

 private:
  void SkipSpace() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }

  bool Peek(std::string_view token) {
    SkipSpace();
    return rest_.starts_with(token);
  }

  bool Take(std::string_view token) {
    if (!Peek(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  std::optional<std::string> String() {
    for (const std::string_view quote : {"'", "\""}) {
      if (!Take(quote)) continue;
      const std::size_t end = rest_.find(quote);
      if (end == std::string_view::npos) return std::nullopt;
      std::string text(rest_.substr(0, end));
      rest_.remove_prefix(end + 1);
      return text;
    }
    return std::nullopt;
  }

  std::optional<Shape> Tuple() {
    Shape shape;
    if (!Take("(")) return std::nullopt;
    while (!Take(")")) {
      SkipSpace();
      std::int64_t dimension = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), dimension);
      if (error != std::errc() || dimension < 0) return std::nullopt;
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      shape.push_back(dimension);
      if (!Take(",") && !Peek(")")) return std::nullopt;
    }
    return shape;
  }

  std::string_view rest_;
};

// The header's text and the bytes after it.
struct Sections {
  std::string_view header;
  std::span<const std::byte> data;
};

absl::StatusOr<Sections> Split(std::span<const std::byte> file) {
  if (file.size() < kPreambleBytes || std::memcmp(file.data(), kMagic.data(), kMagic.size()) != 0) {
    return Malformed("it does not begin with \\x93NUMPY and a version");
  }
  const int version = static_cast<int>(file[kMagic.size()]);
  if (version < 1 || version > 3) return Malformed("version ", version, ", expected 1, 2 or 3");
  const std::size_t size_field_bytes = version == 1 ? 2 : 4;
  file = file.subspan(kPreambleBytes);
  if (file.size() < size_field_bytes) return Malformed("it ends within its header");
  std::uint32_t size = 0;
  std::memcpy(&size, file.data(), size_field_bytes);
  file = file.subspan(size_field_bytes);
  if (size > kMaxHeaderBytes) return Malformed("the header has ", size, " bytes, expected at most ", kMaxHeaderBytes);
  if (size > file.size()) return Malformed("the header has ", size, " bytes, but only ", file.size(), " follow");
  return Sections{{reinterpret_cast<const char*>(file.data()), size}, file.subspan(size)};
}

absl::StatusOr<DataType> ParseType(std::string_view descr) {
  std::string expected;
  for (const auto& [type, name] : kTypeNames) {
    if (descr == name) return type;
    absl::StrAppend(&expected, expected.empty() ? "" : ", ", std::string(name));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(".npy: element type is ", std::string(descr), ", this program reads ", expected));
}

}  // namespace

absl::StatusOr<Array> ParseNpy(std::span<const std::byte> file) {
  const auto sections = Split(file);
  if (!sections.ok()) return sections.status();
  auto header = HeaderReader(sections->header).Read();
  if (!header) return Malformed("the header is no dictionary of descr (a plain type), fortran_order and shape");
  const auto type = ParseType(header->descr);
  if (!type.ok()) return type.status();
  if (header->fortran_order) {
    return absl::InvalidArgumentError(
        ".npy: the array is in Fortran order, expected C order (numpy.ascontiguousarray)");
  }
  const auto size_bytes = ArraySizeBytes(*type, header->shape, "shape");
  if (!size_bytes.ok()) return Malformed(size_bytes.status().message());
  if (*size_bytes != sections->data.size()) {
    return Malformed("it has ", sections->data.size(), " bytes of elements, expected ", *size_bytes, " for ",
                     DataTypeName(*type), " ", ToString(header->shape));
  }
  return Array{*type, std::move(header->shape), sections->data};
}

absl::Status WriteNpy(const std::string& path, const Array& array) {
  const auto* const type = std::find_if(std::begin(kTypeNames), std::end(kTypeNames),
                                        [&](const auto& entry) { return entry.first == array.type; });
  if (type == std::end(kTypeNames)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": .npy has no element type ", DataTypeName(array.type),
                                                   "; a .safetensors file can hold it"));
  }
  std::string header = absl::StrCat("{'descr': '", std::string(type->second), "', 'fortran_order': False, 'shape': (",
                                    absl::StrJoin(array.shape, ", "), array.shape.size() == 1 ? ",), }" : "), }");
  constexpr std::size_t kSizeFieldBytes = 2;
  const std::size_t unpadded = kPreambleBytes + kSizeFieldBytes + header.size() + 1;
  header.append((kAlignmentBytes - unpadded % kAlignmentBytes) % kAlignmentBytes, ' ');
  header.push_back('\n');
  const auto size = static_cast<std::uint16_t>(header.size());
  std::string preamble(kMagic);
  preamble.append({'\x01', '\x00', static_cast<char>(size & 0xff), static_cast<char>(size >> 8)});
  return WriteFile(path, {std::as_bytes(std::span(preamble)), std::as_bytes(std::span(header)), array.bytes});
}

}  // namespace attnd::cli

#include "client/cli/safetensors.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "client/cli/file.h"

namespace attnd::cli {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kSizeFieldBytes = 8;
constexpr char kMetadataKey[] = "__metadata__";

constexpr std::pair<DataType, const char*> kTypeNames[] = {
    {DataType::kFloat32, "F32"}, {DataType::kBfloat16, "BF16"}, {DataType::kFloat16, "F16"}, {DataType::kInt64, "I64"},
    {DataType::kInt32, "I32"},   {DataType::kBool, "BOOL"},     {DataType::kUint8, "U8"}};

template <typename... Parts>
absl::Status Malformed(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("no valid safetensors file: ", parts...));
}

absl::StatusOr<std::span<const std::byte>> HeaderBytes(std::span<const std::byte> file) {
  if (file.size() < kSizeFieldBytes) return Malformed("it has ", file.size(), " bytes, expected at least 8");
  std::uint64_t size = 0;
  std::memcpy(&size, file.data(), sizeof size);
  if (size > kMaxSafetensorsHeaderBytes) {
    return Malformed("the header has ", size, " bytes, expected at most ", kMaxSafetensorsHeaderBytes);
  }
  if (size > file.size() - kSizeFieldBytes) {
    return Malformed("the header has ", size, " bytes, but only ", file.size() - kSizeFieldBytes, " follow");
  }
  return file.subspan(kSizeFieldBytes, size);
}

// The header as JSON, in which no object has a key twice: the JSON library would keep one of the two silently.
absl::StatusOr<Json> ParseHeader(std::span<const std::byte> bytes) {
  std::vector<std::set<std::string>> keys;
  std::string repeated;
  const auto note_keys = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      repeated = value.get<std::string>();
    }
    return true;
  };
  const char* const begin = reinterpret_cast<const char*>(bytes.data());
  Json header = Json::parse(begin, begin + bytes.size(), note_keys, /*allow_exceptions=*/false);
  if (header.is_discarded()) return Malformed("the header is not JSON");
  if (!header.is_object()) return Malformed("the header is a JSON ", header.type_name(), ", expected an object");
  if (!repeated.empty()) return Malformed("the header names \"", repeated, "\" twice");
  return header;
}

absl::StatusOr<std::map<std::string, std::string>> ParseMetadata(const Json& object) {
  if (!object.is_object()) return Malformed(kMetadataKey, " is a JSON ", object.type_name(), ", expected an object");
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) return Malformed(kMetadataKey, ": \"", key, "\" is no string");
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

absl::StatusOr<DataType> ParseType(const Json& dtype, const std::string& name) {
  if (!dtype.is_string()) return Malformed("\"", name, "\": dtype is no string");
  std::string expected;
  for (const auto& [type, type_name] : kTypeNames) {
    if (dtype == type_name) return type;
    absl::StrAppend(&expected, expected.empty() ? "" : ", ", type_name);
  }
  return Malformed("\"", name, "\": dtype is ", dtype.get<std::string>(), ", this program reads ", expected);
}

// Non-negative integers.
absl::StatusOr<Shape> ParseNumbers(const Json& array, const std::string& name, const char* key) {
  if (!array.is_array()) return Malformed("\"", name, "\": ", key, " is no array");
  Shape numbers;
  for (const Json& number : array) {
    if (!number.is_number_unsigned() || number.get<std::uint64_t>() > INT64_MAX) {
      return Malformed("\"", name, "\": ", key, " holds something that is no integer from 0 to 2^63 - 1");
    }
    numbers.push_back(number.get<std::int64_t>());
  }
  return numbers;
}

absl::StatusOr<Array> ParseTensor(const Json& entry, const std::string& name, std::span<const std::byte> data) {
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets")) {
    return Malformed("\"", name, "\" has not exactly dtype, shape and data_offsets");
  }
  const auto type = ParseType(entry["dtype"], name);
  if (!type.ok()) return type.status();
  auto shape = ParseNumbers(entry["shape"], name, "shape");
  if (!shape.ok()) return shape.status();
  const auto offsets = ParseNumbers(entry["data_offsets"], name, "data_offsets");
  if (!offsets.ok()) return offsets.status();
  if (offsets->size() != 2) return Malformed("\"", name, "\": data_offsets has not two numbers");

  const auto begin = static_cast<std::size_t>((*offsets)[0]);
  const auto end = static_cast<std::size_t>((*offsets)[1]);
  if (begin > end || end > data.size()) {
    return Malformed("\"", name, "\": data_offsets are [", begin, ", ", end, "], but there are ", data.size(),
                     " bytes");
  }
  const auto size_bytes = ArraySizeBytes(*type, *shape, absl::StrCat("\"", name, "\""));
  if (!size_bytes.ok()) return Malformed(size_bytes.status().message());
  if (*size_bytes != end - begin) {
    return Malformed("\"", name, "\" has ", end - begin, " bytes, expected ", *size_bytes, " for ", DataTypeName(*type),
                     " ", ToString(*shape));
  }
  return Array{*type, *std::move(shape), data.subspan(begin, end - begin)};
}

// Every byte belongs to one tensor.
absl::Status CheckCoverage(const std::map<std::string, Array>& tensors, std::span<const std::byte> data) {
  std::vector<std::span<const std::byte>> pieces;
  for (const auto& [name, array] : tensors) pieces.push_back(array.bytes);
  std::sort(pieces.begin(), pieces.end(), [](const auto& left, const auto& right) {
    return std::pair(left.data(), left.size()) < std::pair(right.data(), right.size());
  });
  const std::byte* covered_end = data.data();
  for (const auto& piece : pieces) {
    if (piece.data() < covered_end) return Malformed("two tensors overlap at byte ", piece.data() - data.data());
    if (piece.data() > covered_end) return Malformed("no tensor owns byte ", covered_end - data.data());
    covered_end = piece.data() + piece.size();
  }
  if (covered_end != data.data() + data.size()) {
    return Malformed("the tensors end at byte ", covered_end - data.data(), " of ", data.size());
  }
  return absl::OkStatus();
}

const char* TypeName(DataType type) {
  return std::find_if(std::begin(kTypeNames), std::end(kTypeNames),
                      [&](const auto& entry) { return entry.first == type; })
      ->second;
}

}  // namespace

absl::StatusOr<Safetensors> ParseSafetensors(std::span<const std::byte> file) {
  const auto header_bytes = HeaderBytes(file);
  if (!header_bytes.ok()) return header_bytes.status();
  const auto header = ParseHeader(*header_bytes);
  if (!header.ok()) return header.status();
  const auto data = file.subspan(kSizeFieldBytes + header_bytes->size());

  Safetensors content;
  for (const auto& [name, entry] : header->items()) {
    if (name == kMetadataKey) {
      auto metadata = ParseMetadata(entry);
      if (!metadata.ok()) return metadata.status();
      content.metadata = *std::move(metadata);
    } else {
      auto array = ParseTensor(entry, name, data);
      if (!array.ok()) return array.status();
      content.tensors[name] = *std::move(array);
    }
  }
  if (const absl::Status status = CheckCoverage(content.tensors, data); !status.ok()) return status;
  return content;
}

absl::Status WriteSafetensors(const std::string& path, const Safetensors& content) {
  Json header = Json::object();
  if (!content.metadata.empty()) header[kMetadataKey] = content.metadata;
  std::vector<std::span<const std::byte>> pieces(2);
  std::size_t offset = 0;
  for (const auto& [name, array] : content.tensors) {
    const std::size_t end = offset + array.bytes.size();
    header[name] = {{"dtype", TypeName(array.type)}, {"shape", array.shape}, {"data_offsets", {offset, end}}};
    pieces.push_back(array.bytes);
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  // Spaces align the tensors' bytes, as the format advises.
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t size = text.size();
  pieces[0] = std::as_bytes(std::span(&size, 1));
  pieces[1] = std::as_bytes(std::span(text));
  return WriteFile(path, pieces);
}

}  // namespace attnd::cli

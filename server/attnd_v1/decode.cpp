#include "server/attnd_v1/decode.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <attnd/v1/attention.pb.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "server/attnd_v1/byte_reader.h"
#include "server/attnd_v1/known_fields.h"
#include "server/attnd_v1/to_description.h"

namespace attnd::server::attnd_v1 {
namespace {

using google::protobuf::io::ZeroCopyInputStream;

constexpr std::uint32_t kLengthDelimited = 2;

absl::Status Malformed(const ByteReader& reader, absl::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrCat("request: not a valid AttendRequest: ", found, " before byte ", reader.position_bytes()));
}

// A tag or a length: at most 5 bytes, of which the last may not be continued. Bits past the 32nd are dropped from it,
// as protobuf does for tags.
bool ReadVarint32(ByteReader& reader, std::uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    std::uint8_t byte = 0;
    if (!reader.ReadByte(byte)) return false;
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Reads the length of a field, which must fit into the rest of the message.
bool ReadLength(ByteReader& reader, std::int64_t message_size_bytes, std::int64_t& length_bytes) {
  std::uint64_t value = 0;
  if (!ReadVarint32(reader, value)) return false;
  length_bytes = static_cast<std::int64_t>(value);
  return length_bytes <= message_size_bytes - reader.position_bytes();
}

void AppendVarint(std::uint64_t value, std::string& bytes) {
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
}

Payload* PayloadOf(int field_number, ScannedRequest& request) {
  switch (field_number) {
    case v1::AttendRequest::kQueryDataFieldNumber:
      return &request.query;
    case v1::AttendRequest::kKeyDataFieldNumber:
      return &request.key;
    case v1::AttendRequest::kValueDataFieldNumber:
      return &request.value;
    case v1::AttendRequest::kMaskDataFieldNumber:
      return &request.mask;
    default:
      return nullptr;
  }
}

absl::Status AppendToHeader(ByteReader& reader, std::uint32_t tag, std::int64_t length_bytes, std::string& header) {
  AppendVarint(tag, header);
  AppendVarint(static_cast<std::uint64_t>(length_bytes), header);
  const std::size_t begin = header.size();
  if (length_bytes > kMaxHeaderBytes - static_cast<std::int64_t>(begin)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "request: more than ", kMaxHeaderBytes, " bytes found outside of the …_data fields, at most as many expected"));
  }
  header.resize(begin + static_cast<std::size_t>(length_bytes));
  const bool read = reader.Read(reinterpret_cast<std::byte*>(header.data() + begin), length_bytes);
  return read ? absl::OkStatus() : Malformed(reader, "the end of the message found");
}

absl::Status ScanField(ByteReader& reader, std::int64_t message_size_bytes, ScannedRequest& request) {
  std::uint64_t wide_tag = 0;
  if (!ReadVarint32(reader, wide_tag)) return Malformed(reader, "a field's number is not complete");
  const auto tag = static_cast<std::uint32_t>(wide_tag);
  const int number = static_cast<int>(tag >> 3);
  if (number == 0) return Malformed(reader, "field number 0 found");
  // Every field of a request is a message or bytes, so what is not length-delimited is not known either.
  const google::protobuf::Descriptor& type = *v1::AttendRequest::descriptor();
  if ((tag & 7) != kLengthDelimited || type.FindFieldByNumber(number) == nullptr) return UnknownField(type, "", number);
  std::int64_t length_bytes = 0;
  if (!ReadLength(reader, message_size_bytes, length_bytes)) {
    return Malformed(reader,
                     absl::StrCat("a length of field ", number, " that goes past the end of the message found"));
  }
  Payload* const payload = PayloadOf(number, request);
  if (payload == nullptr) return AppendToHeader(reader, tag, length_bytes, request.header);
  // The last one counts, as everywhere in protobuf.
  *payload = {.begin_bytes = reader.position_bytes(), .size_bytes = length_bytes};
  return reader.Skip(length_bytes) ? absl::OkStatus() : Malformed(reader, "the end of the message found");
}

}  // namespace

absl::StatusOr<ScannedRequest> Scan(ZeroCopyInputStream& message, std::int64_t size_bytes) {
  ByteReader reader(message);
  ScannedRequest request;
  while (reader.position_bytes() < size_bytes) {
    if (absl::Status status = ScanField(reader, size_bytes, request); !status.ok()) return status;
  }
  return request;
}

absl::StatusOr<core::ProblemDescription> ParseHeader(const ScannedRequest& request) {
  v1::AttendRequest parsed;
  if (!parsed.ParseFromString(request.header)) {
    return absl::InvalidArgumentError("problem: not a valid AttentionProblem: protobuf's parser refused it");
  }
  if (absl::Status status = CheckKnownFields(parsed, ""); !status.ok()) return status;
  return ToDescription(parsed, {.query_size_bytes = request.query.size_bytes,
                                .key_size_bytes = request.key.size_bytes,
                                .value_size_bytes = request.value.size_bytes,
                                .mask_size_bytes = request.mask.size_bytes});
}

void CopyPayloads(ZeroCopyInputStream& message, const ScannedRequest& request, const InputMemory& memory) {
  std::array<std::pair<Payload, std::byte*>, 4> payloads = {{{request.query, memory.query},
                                                             {request.key, memory.key},
                                                             {request.value, memory.value},
                                                             {request.mask, memory.mask}}};
  std::sort(payloads.begin(), payloads.end(),
            [](const auto& a, const auto& b) { return a.first.begin_bytes < b.first.begin_bytes; });
  ByteReader reader(message);
  for (const auto& [payload, destination] : payloads) {
    if (payload.size_bytes == 0) continue;
    [[maybe_unused]] const bool found =
        reader.Skip(payload.begin_bytes - reader.position_bytes()) && reader.Read(destination, payload.size_bytes);
    assert(found);
  }
}

}  // namespace attnd::server::attnd_v1

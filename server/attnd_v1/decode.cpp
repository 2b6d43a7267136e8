#include "server/attnd_v1/decode.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>
#include <vector>

#include "server/attnd_v1/byte_reader.h"
#include "server/attnd_v1/known_fields.h"
#include "server/attnd_v1/tensor_names.h"
#include "server/attnd_v1/to_description.h"

namespace attnd::server::attnd_v1 {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::ZeroCopyInputStream;

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

void AppendVarint(std::uint64_t value, std::string& bytes) {
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  bytes.push_back(static_cast<char>(value));
}

WireFormatLite::WireType WireTypeOf(const FieldDescriptor& field) {
  return WireFormatLite::WireTypeForFieldType(static_cast<WireFormatLite::FieldType>(field.type()));
}

// Where the elements that a field holds are to be noted; null for every other field.
Payload* PayloadOf(const FieldDescriptor& field, ScannedMessage& scanned) {
  if (field.type() != FieldDescriptor::TYPE_BYTES) return nullptr;
  if (field.containing_type() == v1::TensorPart::descriptor()) return &scanned.part;
  if (field.containing_type() == v1::MergePartialsRequest::descriptor()) {
    const bool is_output = field.number() == v1::MergePartialsRequest::kOutputDataFieldNumber;
    return is_output ? &scanned.partial_output : &scanned.partial_log_sum_exp;
  }
  if (field.containing_type() != v1::AttendRequest::descriptor()) return nullptr;
  const std::optional<core::Input> input = InputOfField(field.number());
  return input.has_value() ? &scanned.inputs[*input] : nullptr;
}

// Whether a field is a message that holds elements.
bool HoldsPayloads(const FieldDescriptor& field) {
  return field.type() == FieldDescriptor::TYPE_MESSAGE && (field.message_type() == v1::AttendRequest::descriptor() ||
                                                           field.message_type() == v1::TensorPart::descriptor());
}

class Scanner {
 public:
  Scanner(ZeroCopyInputStream& message, const Descriptor& type, ScannedMessage& scanned)
      : reader_(message), message_type_(type), scanned_(scanned) {}

  // The fields of a message, or of a message within it, of this type that ends at `end_bytes`.
  absl::Status ScanFields(const Descriptor& type, std::int64_t end_bytes, std::string& header) {
    while (reader_.position_bytes() < end_bytes) {
      if (absl::Status status = ScanField(type, end_bytes, header); !status.ok()) return status;
      if (reader_.position_bytes() > end_bytes) return Malformed("a field goes past its message's end");
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Malformed(absl::string_view found) const {
    return absl::InvalidArgumentError(absl::StrCat("request: not a valid ", message_type_.name(), ": ", found,
                                                   " before byte ", reader_.position_bytes()));
  }

  absl::Status ScanField(const Descriptor& type, std::int64_t end_bytes, std::string& header) {
    std::uint64_t wide_tag = 0;
    if (!ReadVarint32(reader_, wide_tag)) return Malformed("a field's number is not complete");
    const auto tag = static_cast<std::uint32_t>(wide_tag);
    const int number = static_cast<int>(tag >> 3);
    if (number == 0) return Malformed("field number 0 found");
    const FieldDescriptor* field = type.FindFieldByNumber(number);
    if (field == nullptr || (tag & 7) != WireTypeOf(*field)) return UnknownField(type, "", number);
    if (field->real_containing_oneof() != nullptr && scanned_.content != number) SwitchContent(number);
    if ((tag & 7) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) return AppendScalar(tag, header);

    std::uint64_t length = 0;
    if (!ReadVarint32(reader_, length) || static_cast<std::int64_t>(length) > end_bytes - reader_.position_bytes()) {
      return Malformed(absl::StrCat("a length of field ", number, " that goes past the end of the message found"));
    }
    const auto length_bytes = static_cast<std::int64_t>(length);
    if (HoldsPayloads(*field)) return ScanMessage(*field, tag, length_bytes, header);
    Payload* const payload = PayloadOf(*field, scanned_);
    if (payload == nullptr) return AppendBytes(tag, length_bytes, header);
    // The last one counts, as everywhere in protobuf.
    *payload = {.begin_bytes = reader_.position_bytes(), .size_bytes = length_bytes};
    return reader_.Skip(length_bytes) ? absl::OkStatus() : Malformed("the end of the message found");
  }

  // The last member of a oneof counts, with nothing of an earlier one.
  void SwitchContent(int number) {
    scanned_.inputs = {};
    scanned_.part = {};
    scanned_.content = number;
  }

  absl::Status ScanMessage(const FieldDescriptor& field, std::uint32_t tag, std::int64_t length_bytes,
                           std::string& header) {
    std::string inner;
    if (absl::Status status = ScanFields(*field.message_type(), reader_.position_bytes() + length_bytes, inner);
        !status.ok()) {
      return status;
    }
    if (absl::Status status = CheckHeaderSize(static_cast<std::int64_t>(inner.size()), header); !status.ok()) {
      return status;
    }
    AppendVarint(tag, header);
    AppendVarint(inner.size(), header);
    header += inner;
    return absl::OkStatus();
  }

  // A field of a fixed size or a varint, as it is: the parser judges it.
  absl::Status AppendScalar(std::uint32_t tag, std::string& header) {
    if (absl::Status status = CheckHeaderSize(0, header); !status.ok()) return status;
    AppendVarint(tag, header);
    std::uint8_t byte = 0x80;
    const auto append = [&] {
      if (!reader_.ReadByte(byte)) return false;
      header.push_back(static_cast<char>(byte));
      return true;
    };
    int size_bytes = (tag & 7) == WireFormatLite::WIRETYPE_FIXED64 ? 8 : 4;
    if ((tag & 7) == WireFormatLite::WIRETYPE_VARINT) {
      constexpr int kMaxVarintBytes = 10;
      size_bytes = 0;
      for (int i = 0; i < kMaxVarintBytes && byte >= 0x80; ++i) {
        if (!append()) return Malformed("the end of the message found");
      }
      if (byte >= 0x80) return Malformed("a number of more than 10 bytes found");
    }
    for (int i = 0; i < size_bytes; ++i) {
      if (!append()) return Malformed("the end of the message found");
    }
    return absl::OkStatus();
  }

  absl::Status AppendBytes(std::uint32_t tag, std::int64_t length_bytes, std::string& header) {
    if (absl::Status status = CheckHeaderSize(length_bytes, header); !status.ok()) return status;
    AppendVarint(tag, header);
    AppendVarint(static_cast<std::uint64_t>(length_bytes), header);
    const std::size_t begin = header.size();
    header.resize(begin + static_cast<std::size_t>(length_bytes));
    const bool read = reader_.Read(reinterpret_cast<std::byte*>(header.data() + begin), length_bytes);
    return read ? absl::OkStatus() : Malformed("the end of the message found");
  }

  static absl::Status CheckHeaderSize(std::int64_t added_bytes, const std::string& header) {
    if (added_bytes <= kMaxHeaderBytes - static_cast<std::int64_t>(header.size())) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "request: more than ", kMaxHeaderBytes, " bytes found outside of the …_data fields, at most as many expected"));
  }

  ByteReader reader_;
  const Descriptor& message_type_;
  ScannedMessage& scanned_;
};

absl::Status Scan(ZeroCopyInputStream& message, const Descriptor& type, std::int64_t size_bytes,
                  ScannedMessage& scanned) {
  return Scanner(message, type, scanned).ScanFields(type, size_bytes, scanned.header);
}

template <typename Message>
absl::StatusOr<Message> Parse(const ScannedMessage& scanned) {
  Message parsed;
  if (!parsed.ParseFromString(scanned.header)) {
    return absl::InvalidArgumentError(
        absl::StrCat("request: not a valid ", Message::descriptor()->name(), ": protobuf's parser refused it"));
  }
  if (absl::Status status = CheckKnownFields(parsed, ""); !status.ok()) return status;
  return parsed;
}

struct Copy {
  Payload payload;
  std::byte* destination = nullptr;
};

void CopyAll(ZeroCopyInputStream& message, std::vector<Copy> copies) {
  // In the order in which they came.
  std::ranges::sort(copies, {}, [](const Copy& copy) { return copy.payload.begin_bytes; });
  ByteReader reader(message);
  for (const auto& [payload, destination] : copies) {
    if (payload.size_bytes == 0) continue;
    [[maybe_unused]] const bool found =
        reader.Skip(payload.begin_bytes - reader.position_bytes()) && reader.Read(destination, payload.size_bytes);
    assert(found);
  }
}

}  // namespace

absl::Status ScanRequest(ZeroCopyInputStream& message, std::int64_t size_bytes, ScannedMessage& scanned) {
  return Scan(message, *v1::AttendRequest::descriptor(), size_bytes, scanned);
}

absl::Status ScanStreamRequest(ZeroCopyInputStream& message, std::int64_t size_bytes, ScannedMessage& scanned) {
  return Scan(message, *v1::StreamAttendRequest::descriptor(), size_bytes, scanned);
}

absl::Status ScanMergeRequest(ZeroCopyInputStream& message, std::int64_t size_bytes, ScannedMessage& scanned) {
  return Scan(message, *v1::MergePartialsRequest::descriptor(), size_bytes, scanned);
}

std::uint64_t ReadStreamId(const ScannedMessage& scanned) {
  google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(scanned.header.data()),
                                                static_cast<int>(scanned.header.size()));
  constexpr std::uint32_t kIdTag =
      WireFormatLite::MakeTag(v1::StreamAttendRequest::kIdFieldNumber, WireFormatLite::WIRETYPE_VARINT);
  std::uint64_t id = 0;
  return stream.ReadTag() == kIdTag && stream.ReadVarint64(&id) ? id : 0;
}

absl::StatusOr<v1::AttendRequest> ParseRequest(const ScannedMessage& scanned) {
  return Parse<v1::AttendRequest>(scanned);
}

absl::StatusOr<v1::StreamAttendRequest> ParseStreamRequest(const ScannedMessage& scanned) {
  return Parse<v1::StreamAttendRequest>(scanned);
}

absl::StatusOr<v1::MergePartialsRequest> ParseMergeRequest(const ScannedMessage& scanned) {
  return Parse<v1::MergePartialsRequest>(scanned);
}

absl::StatusOr<core::ProblemDescription> ToDescription(const v1::AttendRequest& request,
                                                       const ScannedMessage& scanned) {
  core::PerInput<std::int64_t> size_bytes;
  std::ranges::transform(scanned.inputs, size_bytes.begin(), &Payload::size_bytes);
  return ToDescription(request.has_problem() ? &request.problem() : nullptr, size_bytes);
}

void CopyPayloads(ZeroCopyInputStream& message, const ScannedMessage& scanned, const InputMemory& memory) {
  std::vector<Copy> copies;
  for (const core::Input input : core::kInputs) copies.push_back({scanned.inputs[input], memory[input]});
  CopyAll(message, std::move(copies));
}

void CopyPartials(ZeroCopyInputStream& message, const ScannedMessage& scanned, std::byte* output,
                  std::byte* log_sum_exp) {
  CopyAll(message, {{scanned.partial_output, output}, {scanned.partial_log_sum_exp, log_sum_exp}});
}

void CopyPart(ZeroCopyInputStream& message, const ScannedMessage& scanned, std::byte* destination) {
  ByteReader reader(message);
  [[maybe_unused]] const bool found =
      reader.Skip(scanned.part.begin_bytes) && reader.Read(destination, scanned.part.size_bytes);
  assert(found);
}

}  // namespace attnd::server::attnd_v1

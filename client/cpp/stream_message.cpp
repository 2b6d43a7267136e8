#include "client/cpp/stream_message.h"

#include <absl/strings/string_view.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "client/cpp/response_message.h"

namespace attnd {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

absl::Status Malformed() { return absl::InternalError("the server's answer is no StreamAttendResponse"); }

constexpr std::uint32_t BytesTag(int field_number) {
  return WireFormatLite::MakeTag(field_number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

constexpr std::uint32_t VarintTag(int field_number) {
  return WireFormatLite::MakeTag(field_number, WireFormatLite::WIRETYPE_VARINT);
}

std::size_t SizeBytes(const std::vector<MessagePart>& parts) {
  std::size_t size_bytes = 0;
  for (const MessagePart& part : parts) size_bytes += part.owned.size() + part.borrowed_size_bytes;
  return size_bytes;
}

// Elements are copied, though gRPC could send them from where they lie: it would hold them until the server takes the
// stream's bytes, and a call that is cancelled or late could not let go of its memory before that, short of ending the
// stream for all others. A part lies in the cache when the connection copies it once more.
grpc::ByteBuffer Join(const std::vector<MessagePart>& parts) {
  grpc::Slice slice(SizeBytes(parts));
  auto* to = const_cast<std::uint8_t*>(slice.begin());  // nobody else has it yet
  const auto append = [&to](const void* from, std::size_t size_bytes) {
    if (size_bytes == 0) return;
    std::memcpy(to, from, size_bytes);
    to += size_bytes;
  };
  for (const MessagePart& part : parts) {
    append(part.owned.data(), part.owned.size());
    append(part.borrowed, part.borrowed_size_bytes);
  }
  return {&slice, 1};
}

v1::StreamAttendRequest Envelope(std::uint64_t id, std::optional<double> timeout_seconds) {
  v1::StreamAttendRequest envelope;
  envelope.set_id(id);
  if (timeout_seconds) envelope.set_timeout_seconds(*timeout_seconds);
  return envelope;
}

// `envelope`, and after its fields a last one that holds `content`.
grpc::ByteBuffer Join(const v1::StreamAttendRequest& envelope, int field_number, std::vector<MessagePart> content) {
  const std::string prefix = FieldPrefix(field_number, SizeBytes(content));
  content.insert(content.begin(), MessagePart{envelope.SerializeAsString() + prefix});
  return Join(content);
}

grpc::ByteBuffer Serialize(const v1::StreamAttendRequest& message) { return Join({{message.SerializeAsString()}}); }

// A stream that begins and ends with a section of a message.
class SectionReader {
 public:
  SectionReader(grpc::ByteBuffer* message, const Section& section)
      : reader_(message),
        stream_(&reader_),
        is_good_(reader_.status().ok() && stream_.Skip(static_cast<int>(section.offset_bytes))) {
    stream_.PushLimit(static_cast<int>(section.size_bytes));
  }

  bool is_good() const { return is_good_; }
  CodedInputStream& stream() { return stream_; }

 private:
  grpc::ProtoBufferReader reader_;
  CodedInputStream stream_;
  bool is_good_;
};

// Where a field of bytes lies whose tag has just been read; the stream then stands behind it.
bool SkipBytes(CodedInputStream& stream, Section& section) {
  int size_bytes = 0;
  if (!stream.ReadVarintSizeAsInt(&size_bytes)) return false;
  section = {static_cast<std::size_t>(stream.CurrentPosition()), static_cast<std::size_t>(size_bytes)};
  return stream.Skip(size_bytes);
}

bool ReadStatus(CodedInputStream& stream, std::optional<absl::Status>& status) {
  v1::StreamStatus message;
  if (!WireFormatLite::ReadMessage(&stream, &message)) return false;
  status.emplace(static_cast<absl::StatusCode>(message.code()), message.message());
  return true;
}

// Only one is expected.
bool ReadContent(CodedInputStream& stream, StreamAnswerEnvelope::Content content, StreamAnswerEnvelope& envelope) {
  if (envelope.content != StreamAnswerEnvelope::Content::kNone) return false;
  envelope.content = content;
  return SkipBytes(stream, envelope.section);
}

bool ReadEnvelopeField(CodedInputStream& stream, std::uint32_t tag, StreamAnswerEnvelope& envelope) {
  using Message = v1::StreamAttendResponse;
  using Content = StreamAnswerEnvelope::Content;
  switch (tag) {
    case VarintTag(Message::kIdFieldNumber):
      return stream.ReadVarint64(&envelope.id);
    case BytesTag(Message::kResponseFieldNumber):
      return ReadContent(stream, Content::kResponse, envelope);
    case BytesTag(Message::kResultFieldNumber):
      return ReadContent(stream, Content::kResult, envelope);
    case BytesTag(Message::kPartFieldNumber):
      return ReadContent(stream, Content::kPart, envelope);
    case BytesTag(Message::kStatusFieldNumber):
      return ReadStatus(stream, envelope.status);
    default:
      return WireFormatLite::SkipField(&stream, tag);
  }
}

bool ReadPartField(CodedInputStream& stream, std::uint32_t tag, AnswerPart& part) {
  using Message = v1::TensorPart;
  std::uint64_t number = 0;
  switch (tag) {
    case VarintTag(Message::kTensorFieldNumber):
      if (!stream.ReadVarint64(&number)) return false;
      part.tensor = v1::TensorName_IsValid(static_cast<int>(number)) ? static_cast<v1::TensorName>(number)
                                                                     : v1::TENSOR_NAME_UNSPECIFIED;
      return true;
    case VarintTag(Message::kOffsetBytesFieldNumber):
      if (!stream.ReadVarint64(&number)) return false;
      part.offset_bytes = static_cast<std::int64_t>(number);
      return true;
    case BytesTag(Message::kDataFieldNumber):
      return SkipBytes(stream, part.data);
    default:
      return WireFormatLite::SkipField(&stream, tag);
  }
}

}  // namespace

grpc::ByteBuffer EncodeWhole(std::uint64_t id, std::optional<double> timeout_seconds, const DescribedRequest& request) {
  return Join(Envelope(id, timeout_seconds), v1::StreamAttendRequest::kRequestFieldNumber, *EncodeRequest(request));
}

grpc::ByteBuffer EncodeStart(std::uint64_t id, std::optional<double> timeout_seconds, const DescribedRequest& request) {
  v1::StreamAttendRequest message = Envelope(id, timeout_seconds);
  v1::StreamStart& start = *message.mutable_start();
  *start.mutable_problem() = request.problem;
  for (const RequestTensor& tensor : request.tensors) {
    (start.*tensor.input->set_size_bytes)(static_cast<std::int64_t>(tensor.size_bytes));
  }
  return Serialize(message);
}

grpc::ByteBuffer EncodePart(std::uint64_t id, const RequestTensor& tensor, std::size_t offset_bytes,
                            std::size_t size_bytes) {
  v1::TensorPart header;
  header.set_tensor(tensor.input->tensor);
  header.set_offset_bytes(static_cast<std::int64_t>(offset_bytes));
  MessagePart part{header.SerializeAsString() + FieldPrefix(v1::TensorPart::kDataFieldNumber, size_bytes),
                   tensor.data + offset_bytes, size_bytes};
  return Join(Envelope(id, std::nullopt), v1::StreamAttendRequest::kPartFieldNumber, {std::move(part)});
}

grpc::ByteBuffer EncodeCancel(std::uint64_t id) {
  v1::StreamAttendRequest message = Envelope(id, std::nullopt);
  message.mutable_cancel();
  return Serialize(message);
}

absl::StatusOr<StreamAnswerEnvelope> DecodeEnvelope(grpc::ByteBuffer* message) {
  SectionReader reader(message, {0, message->Length()});
  if (!reader.is_good()) return Malformed();
  StreamAnswerEnvelope envelope;
  while (const std::uint32_t tag = reader.stream().ReadTag()) {
    if (!ReadEnvelopeField(reader.stream(), tag, envelope)) return Malformed();
  }
  if (!reader.stream().ConsumedEntireMessage()) return Malformed();
  return envelope;
}

absl::StatusOr<AnswerPart> DecodePart(grpc::ByteBuffer* message, const Section& section) {
  SectionReader reader(message, section);
  AnswerPart part;
  while (const std::uint32_t tag = reader.stream().ReadTag()) {
    if (!ReadPartField(reader.stream(), tag, part)) return Malformed();
  }
  if (!reader.is_good() || !reader.stream().ConsumedEntireMessage()) return Malformed();
  return part;
}

absl::StatusOr<v1::AttentionResult> DecodeResult(grpc::ByteBuffer* message, const Section& section) {
  SectionReader reader(message, section);
  v1::AttentionResult result;
  if (!reader.is_good() || !result.ParseFromCodedStream(&reader.stream())) return Malformed();
  return result;
}

absl::StatusOr<AttendResult> DecodeResponse(grpc::ByteBuffer* message, const Section& section) {
  SectionReader reader(message, section);
  if (!reader.is_good()) return Malformed();
  return DecodeResponse(reader.stream(), section.size_bytes);
}

bool CopySection(grpc::ByteBuffer* message, const Section& section, std::byte* target) {
  SectionReader reader(message, section);
  return reader.is_good() && reader.stream().ReadRaw(target, static_cast<int>(section.size_bytes));
}

}  // namespace attnd

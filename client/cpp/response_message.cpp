#include "client/cpp/response_message.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <attnd/v1/attention.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <utility>

#include "client/cpp/result_tensors.h"

namespace attnd {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

absl::Status Malformed() { return absl::InternalError("the server's answer is no AttendResponse"); }

// A message before its parts are put together: bytes get their type and shape when all has been read.
struct Parts {
  v1::AttentionResult result;
  PerOutput<Tensor> payloads;
};

// Reads a field of bytes; `message_size_bytes` bounds what is allocated for it.
absl::Status ReadPayload(CodedInputStream& stream, std::size_t message_size_bytes, absl::string_view name,
                         Tensor& bytes) {
  int size_bytes = 0;
  if (!stream.ReadVarintSizeAsInt(&size_bytes) || static_cast<std::size_t>(size_bytes) > message_size_bytes) {
    return Malformed();
  }
  auto tensor = Tensor::Create(ElementType::kBool, {size_bytes}, name);
  if (!tensor.ok()) return tensor.status();
  bytes = *std::move(tensor);
  return stream.ReadRaw(bytes.data(), size_bytes) ? absl::OkStatus() : Malformed();
}

// Reads an embedded message; a field that comes twice is merged, as protobuf wants it.
absl::Status ReadResult(CodedInputStream& stream, v1::AttentionResult& result) {
  int size_bytes = 0;
  if (!stream.ReadVarintSizeAsInt(&size_bytes)) return Malformed();
  const auto limit = stream.PushLimit(size_bytes);
  if (!result.MergeFromCodedStream(&stream) || stream.BytesUntilLimit() != 0) return Malformed();
  stream.PopLimit(limit);
  return absl::OkStatus();
}

constexpr std::uint32_t BytesTag(int field_number) {
  return WireFormatLite::MakeTag(field_number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

absl::Status ReadField(CodedInputStream& stream, std::uint32_t tag, std::size_t message_size_bytes, Parts& parts) {
  if (tag == BytesTag(v1::AttendResponse::kResultFieldNumber)) return ReadResult(stream, parts.result);
  for (const OutputTensor& tensor : OutputTensors()) {
    if (tag != BytesTag(tensor.data_field_number)) continue;
    return ReadPayload(stream, message_size_bytes, tensor.name, parts.payloads[tensor.output]);
  }
  return WireFormatLite::SkipField(&stream, tag) ? absl::OkStatus() : Malformed();
}

absl::StatusOr<Parts> ReadParts(CodedInputStream& stream, std::size_t message_size_bytes) {
  Parts parts;
  while (const std::uint32_t tag = stream.ReadTag()) {
    if (absl::Status status = ReadField(stream, tag, message_size_bytes, parts); !status.ok()) return status;
  }
  if (!stream.ConsumedEntireMessage()) return Malformed();
  return parts;
}

absl::StatusOr<Tensor> Describe(Tensor bytes, const v1::TensorDescription& description, absl::string_view name) {
  const auto type = FromProto(description.element_type(), name);
  if (!type.ok()) return type.status();
  auto tensor =
      Tensor::Reinterpret(std::move(bytes), *type, Shape(description.shape().begin(), description.shape().end()), name);
  if (!tensor.ok()) {
    return absl::InternalError(absl::StrCat("the server's answer contradicts itself: ", tensor.status().message()));
  }
  return tensor;
}

}  // namespace

absl::StatusOr<ElementType> FromProto(v1::ElementType type, absl::string_view name) {
  switch (type) {
    case v1::ELEMENT_TYPE_FLOAT32:
      return ElementType::kFloat32;
    case v1::ELEMENT_TYPE_BFLOAT16:
      return ElementType::kBfloat16;
    case v1::ELEMENT_TYPE_FLOAT16:
      return ElementType::kFloat16;
    case v1::ELEMENT_TYPE_INT32:
      return ElementType::kInt32;
    default:
      return absl::InternalError(absl::StrCat("the server's answer has an element type for ", name,
                                              " that this client does not know: ", static_cast<int>(type)));
  }
}

Report FromProto(const v1::Report& report) {
  return {.kernel = report.kernel(),
          .query_tile_rows = report.query_tile_rows(),
          .key_tile_keys = report.key_tile_keys(),
          .computed_tiles = report.computed_tiles(),
          .skipped_tiles = report.skipped_tiles(),
          .floating_point_operations = report.floating_point_operations(),
          .empty_rows = report.empty_rows(),
          .decode_seconds = report.decode_seconds(),
          .queue_seconds = report.queue_seconds(),
          .compute_seconds = report.compute_seconds(),
          .encode_seconds = report.encode_seconds(),
          .fingerprint = report.fingerprint(),
          .summary_tiles = report.summary_tiles()};
}

absl::StatusOr<AttendResult> DecodeResponse(grpc::ByteBuffer* message) {
  grpc::ProtoBufferReader reader(message);
  if (!reader.status().ok()) return Malformed();
  CodedInputStream stream(&reader);
  return DecodeResponse(stream, message->Length());
}

absl::StatusOr<AttendResult> DecodeResponse(CodedInputStream& stream, std::size_t size_bytes) {
  auto parts = ReadParts(stream, size_bytes);
  if (!parts.ok()) return parts.status();

  AttendResult result;
  result.report = FromProto(parts->result.report());
  for (const OutputTensor& tensor : OutputTensors()) {
    const v1::TensorDescription* const description = tensor.description(parts->result);
    if (description == nullptr) continue;
    auto described = Describe(std::move(parts->payloads[tensor.output]), *description, tensor.name);
    if (!described.ok()) return described.status();
    Set(result, tensor.output, *std::move(described));
  }
  return result;
}

}  // namespace attnd

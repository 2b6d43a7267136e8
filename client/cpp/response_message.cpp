#include "client/cpp/response_message.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <attnd/v1/attention.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <utility>

namespace attnd {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

absl::Status Malformed() { return absl::InternalError("the server's answer is no AttendResponse"); }

// A message before its parts are put together: bytes get their type and shape when all has been read.
struct Parts {
  v1::AttentionResult result;
  Tensor output;
  Tensor weights;
  Tensor log_sum_exp;
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

absl::StatusOr<Parts> ReadParts(CodedInputStream& stream, std::size_t message_size_bytes) {
  constexpr auto kTag = [](int field_number) {
    return WireFormatLite::MakeTag(field_number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  };
  Parts parts;
  while (const std::uint32_t tag = stream.ReadTag()) {
    absl::Status status;
    if (tag == kTag(v1::AttendResponse::kResultFieldNumber)) {
      status = ReadResult(stream, parts.result);
    } else if (tag == kTag(v1::AttendResponse::kOutputDataFieldNumber)) {
      status = ReadPayload(stream, message_size_bytes, "output", parts.output);
    } else if (tag == kTag(v1::AttendResponse::kWeightsDataFieldNumber)) {
      status = ReadPayload(stream, message_size_bytes, "weights", parts.weights);
    } else if (tag == kTag(v1::AttendResponse::kLogSumExpDataFieldNumber)) {
      status = ReadPayload(stream, message_size_bytes, "log_sum_exp", parts.log_sum_exp);
    } else if (!WireFormatLite::SkipField(&stream, tag)) {
      status = Malformed();
    }
    if (!status.ok()) return status;
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
          .encode_seconds = report.encode_seconds()};
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
  auto output = Describe(std::move(parts->output), parts->result.output(), "output");
  if (!output.ok()) return output.status();
  result.output = *std::move(output);
  if (parts->result.has_weights()) {
    auto weights = Describe(std::move(parts->weights), parts->result.weights(), "weights");
    if (!weights.ok()) return weights.status();
    result.weights = *std::move(weights);
  }
  if (parts->result.has_log_sum_exp()) {
    auto log_sum_exp = Describe(std::move(parts->log_sum_exp), parts->result.log_sum_exp(), "log_sum_exp");
    if (!log_sum_exp.ok()) return log_sum_exp.status();
    result.log_sum_exp = *std::move(log_sum_exp);
  }
  return result;
}

}  // namespace attnd

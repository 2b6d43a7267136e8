#include "server/attnd_v1/encode.h"

#include <absl/strings/str_cat.h>
#include <attnd/v1/attention.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/support/slice.h>

#include <string>
#include <utility>
#include <vector>

#include "server/attnd_v1/status_mapping.h"
#include "server/attnd_v1/tensor_description.h"
#include "server/attnd_v1/tensor_names.h"
#include "server/version.h"

namespace attnd::server::attnd_v1 {
namespace {

// The field of a result that describes a tensor.
using DescriptionField = v1::TensorDescription* (v1::AttentionResult::*)();
constexpr core::PerOutput<DescriptionField> kDescriptionFields = {{
    &v1::AttentionResult::mutable_output,
    &v1::AttentionResult::mutable_weights,
    &v1::AttentionResult::mutable_log_sum_exp,
    &v1::AttentionResult::mutable_matrix,
    &v1::AttentionResult::mutable_top_keys,
    &v1::AttentionResult::mutable_top_weights,
    &v1::AttentionResult::mutable_entropy,
    &v1::AttentionResult::mutable_largest_weight,
    &v1::AttentionResult::mutable_first_keys_weight,
    &v1::AttentionResult::mutable_mean_distance,
    &v1::AttentionResult::mutable_received_sum,
    &v1::AttentionResult::mutable_received_maximum,
    &v1::AttentionResult::mutable_pooled_map,
}};

// The core does not know which release it is part of.
std::string Fingerprint(const core::Report& report) {
  return absl::StrCat("attnd ", std::string(Version()), ", ", report.fingerprint);
}

void FillReport(const Answer& answer, double encode_seconds, v1::Report& result) {
  const core::Report& report = answer.report;
  result.set_kernel(report.kernel);
  result.set_query_tile_rows(report.query_tile_rows);
  result.set_key_tile_keys(report.key_tile_keys);
  result.set_computed_tiles(report.computed_tiles);
  result.set_skipped_tiles(report.skipped_tiles);
  result.set_floating_point_operations(report.floating_point_operations);
  result.set_empty_rows(report.empty_rows);
  result.set_decode_seconds(answer.decode_seconds);
  result.set_queue_seconds(report.queue_seconds);
  result.set_compute_seconds(report.compute_seconds);
  result.set_encode_seconds(encode_seconds);
  result.set_fingerprint(Fingerprint(report));
  result.set_summary_tiles(report.summary_tiles);
}

void FillResult(const Answer& answer, double encode_seconds, v1::AttentionResult& result) {
  for (const core::Output output : core::kOutputs) {
    const core::AnswerTensor& tensor = answer.descriptions[output];
    if (tensor.size_bytes > 0) *(result.*kDescriptionFields[output])() = ToProto(tensor.description);
  }
  FillReport(answer, encode_seconds, *result.mutable_report());
}

// A slice of the buffer that keeps its owner, the whole answer, alive.
grpc::Slice Share(const TensorMemory& buffer, std::int64_t offset_bytes, std::int64_t size_bytes,
                  const std::shared_ptr<const void>& owner) {
  return {buffer.data() + offset_bytes, static_cast<std::size_t>(size_bytes),
          [](void* held) { delete static_cast<std::shared_ptr<const void>*>(held); },
          new std::shared_ptr<const void>(owner)};
}

// A message, front to back: small fields as they are serialised, elements where they lie.
class MessageWriter {
 public:
  // Fields as they are on the wire.
  void Append(const std::string& fields) {
    small_fields_ += fields;
    size_bytes_ += static_cast<std::int64_t>(fields.size());
  }

  void AppendElements(int field_number, const TensorMemory& buffer, std::int64_t offset_bytes, std::int64_t size_bytes,
                      const std::shared_ptr<const void>& owner) {
    AppendFieldStart(field_number, size_bytes);
    Flush();
    slices_.push_back(Share(buffer, offset_bytes, size_bytes, owner));
    size_bytes_ += size_bytes;
  }

  void AppendMessage(int field_number, MessageWriter inner) {
    AppendFieldStart(field_number, inner.size_bytes_);
    Flush();
    inner.Flush();
    slices_.insert(slices_.end(), inner.slices_.begin(), inner.slices_.end());
    size_bytes_ += inner.size_bytes_;
  }

  grpc::ByteBuffer Take() {
    Flush();
    return {slices_.data(), slices_.size()};
  }

 private:
  // What comes before the contents of a field that is a message or bytes: its tag and its length.
  void AppendFieldStart(int field_number, std::int64_t size_bytes) {
    constexpr std::uint32_t kLengthDelimited = 2;
    std::string start;
    {
      google::protobuf::io::StringOutputStream stream(&start);
      google::protobuf::io::CodedOutputStream coded(&stream);
      coded.WriteTag(static_cast<std::uint32_t>(field_number) << 3 | kLengthDelimited);
      coded.WriteVarint64(static_cast<std::uint64_t>(size_bytes));
    }
    Append(start);
  }

  void Flush() {
    if (small_fields_.empty()) return;
    slices_.emplace_back(small_fields_);
    small_fields_.clear();
  }

  std::string small_fields_;  // not in slices_ yet
  std::vector<grpc::Slice> slices_;
  std::int64_t size_bytes_ = 0;
};

// An AttendResponse.
MessageWriter WriteResponse(const std::shared_ptr<const Answer>& answer, double encode_seconds) {
  v1::AttendResponse small_fields;
  FillResult(*answer, encode_seconds, *small_fields.mutable_result());
  MessageWriter writer;
  writer.Append(small_fields.SerializeAsString());
  for (const core::Output output : core::kOutputs) {
    const TensorMemory& buffer = answer->tensors[output];
    if (buffer.size_bytes() > 0) {
      writer.AppendElements(DataFieldNumber(output), buffer, 0, buffer.size_bytes(), answer);
    }
  }
  return writer;
}

std::string WithId(std::uint64_t id) {
  v1::StreamAttendResponse response;
  response.set_id(id);
  return response.SerializeAsString();
}

std::string WithStatus(const absl::Status& status) {
  const grpc::Status of_grpc = ToGrpcStatus(status);
  v1::StreamAttendResponse response;
  response.mutable_status()->set_code(of_grpc.error_code());
  response.mutable_status()->set_message(of_grpc.error_message());
  return response.SerializeAsString();
}

}  // namespace

grpc::ByteBuffer Encode(const std::shared_ptr<const Answer>& answer, double encode_seconds) {
  return WriteResponse(answer, encode_seconds).Take();
}

grpc::ByteBuffer Encode(const std::shared_ptr<const Merged>& merged) {
  v1::MergePartialsResponse small_fields;
  *small_fields.mutable_output() = ToProto(merged->merge.output.description);
  *small_fields.mutable_log_sum_exp() = ToProto(merged->merge.log_sum_exp.description);
  MessageWriter writer;
  writer.Append(small_fields.SerializeAsString());
  writer.AppendElements(v1::MergePartialsResponse::kOutputDataFieldNumber, merged->output, 0,
                        merged->output.size_bytes(), merged);
  writer.AppendElements(v1::MergePartialsResponse::kLogSumExpDataFieldNumber, merged->log_sum_exp, 0,
                        merged->log_sum_exp.size_bytes(), merged);
  return writer.Take();
}

grpc::ByteBuffer EncodeResponse(std::uint64_t id, const std::shared_ptr<const Answer>& answer, double encode_seconds) {
  MessageWriter writer;
  writer.Append(WithId(id));
  writer.AppendMessage(v1::StreamAttendResponse::kResponseFieldNumber, WriteResponse(answer, encode_seconds));
  writer.Append(WithStatus(absl::OkStatus()));
  return writer.Take();
}

grpc::ByteBuffer EncodeResult(std::uint64_t id, const Answer& answer, double encode_seconds) {
  v1::StreamAttendResponse response;
  response.set_id(id);
  FillResult(answer, encode_seconds, *response.mutable_result());
  MessageWriter writer;
  writer.Append(response.SerializeAsString());
  return writer.Take();
}

grpc::ByteBuffer EncodePart(std::uint64_t id, const std::shared_ptr<const Answer>& answer, core::Output tensor,
                            std::int64_t offset_bytes, std::int64_t size_bytes, bool is_last) {
  v1::TensorPart small_fields;
  small_fields.set_tensor(ToProto(tensor));
  small_fields.set_offset_bytes(offset_bytes);
  MessageWriter part;
  part.Append(small_fields.SerializeAsString());
  part.AppendElements(v1::TensorPart::kDataFieldNumber, answer->tensors[tensor], offset_bytes, size_bytes, answer);
  MessageWriter writer;
  writer.Append(WithId(id));
  writer.AppendMessage(v1::StreamAttendResponse::kPartFieldNumber, std::move(part));
  if (is_last) writer.Append(WithStatus(absl::OkStatus()));
  return writer.Take();
}

grpc::ByteBuffer EncodeStatus(std::uint64_t id, const absl::Status& status) {
  MessageWriter writer;
  writer.Append(WithId(id));
  writer.Append(WithStatus(status));
  return writer.Take();
}

}  // namespace attnd::server::attnd_v1

#include "server/attnd_v1/encode.h"

#include <attnd/v1/attention.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/support/slice.h>

#include <string>
#include <vector>

#include "server/attnd_v1/element_type.h"

namespace attnd::server::attnd_v1 {
namespace {

void Describe(const core::TensorDescription& tensor, v1::TensorDescription& result) {
  result.set_element_type(ToProto(tensor.element_type));
  result.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
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
}

std::string SerializeResult(const Answer& answer, double encode_seconds) {
  v1::AttendResponse response;
  v1::AttentionResult& result = *response.mutable_result();
  Describe(answer.problem.output, *result.mutable_output());
  if (answer.problem.weights.has_value()) Describe(*answer.problem.weights, *result.mutable_weights());
  if (answer.problem.log_sum_exp.has_value()) Describe(*answer.problem.log_sum_exp, *result.mutable_log_sum_exp());
  FillReport(answer, encode_seconds, *result.mutable_report());
  return response.SerializeAsString();
}

// What comes before the bytes of a `bytes` field: its tag and its length.
void AppendFieldStart(int field_number, std::int64_t size_bytes, std::string& bytes) {
  constexpr std::uint32_t kLengthDelimited = 2;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteTag(static_cast<std::uint32_t>(field_number) << 3 | kLengthDelimited);
  coded.WriteVarint64(static_cast<std::uint64_t>(size_bytes));
}

// A slice of the buffer that keeps the whole answer alive.
grpc::Slice Share(const TensorMemory& buffer, const std::shared_ptr<const Answer>& answer) {
  return {buffer.data(), static_cast<std::size_t>(buffer.size_bytes()),
          [](void* owner) { delete static_cast<std::shared_ptr<const Answer>*>(owner); },
          new std::shared_ptr<const Answer>(answer)};
}

}  // namespace

grpc::ByteBuffer Encode(const std::shared_ptr<const Answer>& answer, double encode_seconds) {
  std::vector<grpc::Slice> slices;
  std::string small_fields = SerializeResult(*answer, encode_seconds);
  const auto add_tensor = [&](int field_number, const TensorMemory& buffer) {
    if (buffer.size_bytes() == 0) return;
    AppendFieldStart(field_number, buffer.size_bytes(), small_fields);
    slices.emplace_back(small_fields);
    small_fields.clear();
    slices.push_back(Share(buffer, answer));
  };
  add_tensor(v1::AttendResponse::kOutputDataFieldNumber, answer->output);
  add_tensor(v1::AttendResponse::kWeightsDataFieldNumber, answer->weights);
  add_tensor(v1::AttendResponse::kLogSumExpDataFieldNumber, answer->log_sum_exp);
  return {slices.data(), slices.size()};
}

}  // namespace attnd::server::attnd_v1

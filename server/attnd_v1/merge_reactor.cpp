#include "server/attnd_v1/merge_reactor.h"

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstdint>

#include "server/attnd_v1/decode.h"
#include "server/attnd_v1/encode.h"
#include "server/attnd_v1/tensor_description.h"

namespace attnd::server::attnd_v1 {
namespace {

absl::StatusOr<core::MergeDescription> ToDescription(const v1::MergePartialsRequest& request,
                                                     const ScannedMessage& scanned) {
  core::MergeDescription result;
  absl::Status status = FromProto(request.has_output(), request.output(), "output", result.output);
  status.Update(FromProto(request.has_log_sum_exp(), request.log_sum_exp(), "log_sum_exp", result.log_sum_exp));
  if (!status.ok()) return status;
  result.output_size_bytes = scanned.partial_output.size_bytes;
  result.log_sum_exp_size_bytes = scanned.partial_log_sum_exp.size_bytes;
  return result;
}

}  // namespace

MergeReactor::MergeReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call)
    : UnaryReactor(context, call, "MergePartials"), merge_(context, absl::FromChrono(call->deadline())) {}

absl::Status MergeReactor::Start(grpc::ByteBuffer& message) {
  const auto message_size_bytes = static_cast<std::int64_t>(message.Length());
  if (absl::Status status = merge_.Receive(message_size_bytes); !status.ok()) return status;
  grpc::ProtoBufferReader scanned_message(&message);
  ScannedMessage scanned;
  if (absl::Status status = ScanMergeRequest(scanned_message, message_size_bytes, scanned); !status.ok()) {
    return status;
  }
  const auto header_bytes = static_cast<std::int64_t>(scanned.header.size());
  if (absl::Status status = merge_.ReserveForParsing(kMaxParsedBytesPerHeaderByte * header_bytes); !status.ok()) {
    return status;
  }
  const absl::StatusOr<v1::MergePartialsRequest> parsed = ParseMergeRequest(scanned);
  if (!parsed.ok()) return parsed.status();
  const absl::StatusOr<core::MergeDescription> description = ToDescription(*parsed, scanned);
  if (!description.ok()) return description.status();
  const absl::StatusOr<MergeMemory> memory = merge_.Open(*description);
  if (!memory.ok()) return memory.status();
  {
    grpc::ProtoBufferReader copied_message(&message);
    CopyPartials(copied_message, scanned, memory->output, memory->log_sum_exp);
  }
  message.Clear();
  merge_.ReleaseMessage();
  const absl::StatusOr<std::shared_ptr<const Merged>> merged = merge_.Compute(header_bytes);
  if (!merged.ok()) return merged.status();
  Conclude([this, merged = *merged] { return MakeResponse(merged); });
  return absl::OkStatus();
}

grpc::ByteBuffer MergeReactor::MakeResponse(const std::shared_ptr<const Merged>& merged) {
  grpc::ByteBuffer response = Encode(merged);
  merge_.EndEncode(static_cast<std::int64_t>(response.Length()));
  return response;
}

}  // namespace attnd::server::attnd_v1

#include "server/attnd_v1/attend_reactor.h"

#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <memory>

#include "server/attnd_v1/decode.h"
#include "server/attnd_v1/encode.h"

namespace attnd::server::attnd_v1 {

AttendReactor::AttendReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call)
    : UnaryReactor(context, call, "Attend"),
      attend_(context, absl::FromChrono(call->deadline())),
      max_message_bytes_(context.max_message_bytes) {}

absl::Status AttendReactor::Start(grpc::ByteBuffer& message) {
  const auto message_size_bytes = static_cast<std::int64_t>(message.Length());
  if (absl::Status status = attend_.Receive(message_size_bytes); !status.ok()) return status;
  grpc::ProtoBufferReader scanned_message(&message);
  ScannedMessage scanned;
  if (absl::Status status = ScanRequest(scanned_message, message_size_bytes, scanned); !status.ok()) return status;
  const auto header_bytes = static_cast<std::int64_t>(scanned.header.size());
  if (absl::Status status = attend_.ReserveForParsing(kMaxParsedBytesPerHeaderByte * header_bytes); !status.ok()) {
    return status;
  }
  const absl::StatusOr<v1::AttendRequest> parsed = ParseRequest(scanned);
  if (!parsed.ok()) return parsed.status();
  const absl::StatusOr<core::ProblemDescription> description = ToDescription(*parsed, scanned);
  if (!description.ok()) return description.status();
  const absl::StatusOr<InputMemory> memory = attend_.Open(*description, max_message_bytes_);
  if (!memory.ok()) return memory.status();
  {
    grpc::ProtoBufferReader copied_message(&message);
    CopyPayloads(copied_message, scanned, *memory);
  }
  message.Clear();
  attend_.ReleaseMessage();
  attend_.Compute(header_bytes, [this](const absl::StatusOr<std::shared_ptr<const Answer>>& answer) {
    if (!answer.ok()) return Conclude(answer.status());
    Conclude([this, answer = *answer] { return MakeResponse(answer); });
  });
  return absl::OkStatus();
}

grpc::ByteBuffer AttendReactor::MakeResponse(const std::shared_ptr<const Answer>& answer) {
  grpc::ByteBuffer response = Encode(answer, attend_.EncodeSeconds());
  attend_.EndEncode(static_cast<std::int64_t>(response.Length()));
  return response;
}

}  // namespace attnd::server::attnd_v1

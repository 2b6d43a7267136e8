// The messages of a stream: from a request's memory to bytes, and from bytes to what they are about.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "client/cpp/request_message.h"

namespace attnd {

// Bytes of a request's or an answer's tensors above which they go in parts, and those of a part: what a server whose
// messages are of 1 MiB takes, beside 64 KiB of other fields, and small enough that a small request does not wait long
// behind a part. What a part costs beside its bytes counts: on loopback, parts of 1 MiB for those of 256 KiB take a
// third off the CPU time of requests of 1 MB, which then go whole, and a tenth off those of 16 MB; parts of 4 MiB take
// off no more.
inline constexpr std::size_t kPartBytes = std::size_t{960} << 10;

// Of a request that goes whole. Its tensors hold at most kPartBytes.
grpc::ByteBuffer EncodeWhole(std::uint64_t id, std::optional<double> timeout_seconds, const DescribedRequest& request);

// The beginning of a request whose tensors follow in parts.
grpc::ByteBuffer EncodeStart(std::uint64_t id, std::optional<double> timeout_seconds, const DescribedRequest& request);

// Bytes `offset_bytes` … `offset_bytes + size_bytes` of a tensor.
grpc::ByteBuffer EncodePart(std::uint64_t id, const RequestTensor& tensor, std::size_t offset_bytes,
                            std::size_t size_bytes);

grpc::ByteBuffer EncodeCancel(std::uint64_t id);

// Some bytes of a message.
struct Section {
  std::size_t offset_bytes = 0;
  std::size_t size_bytes = 0;
};

// A StreamAttendResponse whose content has not been read yet.
struct StreamAnswerEnvelope {
  enum class Content : std::uint8_t { kNone, kResponse, kResult, kPart };

  std::uint64_t id = 0;
  Content content = Content::kNone;
  Section section;                     // of the content
  std::optional<absl::Status> status;  // in the last message about the request
};

// INTERNAL where the bytes are no such message. Fields that this client does not know are skipped.
absl::StatusOr<StreamAnswerEnvelope> DecodeEnvelope(grpc::ByteBuffer* message);

// A TensorPart whose elements have not been read yet.
struct AnswerPart {
  v1::TensorName tensor = v1::TENSOR_NAME_UNSPECIFIED;
  std::int64_t offset_bytes = 0;
  Section data;
};

// INTERNAL where the bytes are no such message.
absl::StatusOr<AnswerPart> DecodePart(grpc::ByteBuffer* message, const Section& section);

// INTERNAL where the bytes are no such message.
absl::StatusOr<v1::AttentionResult> DecodeResult(grpc::ByteBuffer* message, const Section& section);

// Like DecodeResponse of a whole message.
absl::StatusOr<AttendResult> DecodeResponse(grpc::ByteBuffer* message, const Section& section);

// Copies the section to `target`. False where the message ends before it.
bool CopySection(grpc::ByteBuffer* message, const Section& section, std::byte* target);

}  // namespace attnd

// From an answer to the slices of a message, without a copy of its tensors. The slices refer to the answer's buffers
// and share the answer until gRPC has let go of the last of them, which may be on any thread. Never an invalid buffer.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>

#include "core/tensors.h"
#include "server/attend.h"
#include "server/merge.h"

namespace attnd::server::attnd_v1 {

// An AttendResponse.
grpc::ByteBuffer Encode(const std::shared_ptr<const Answer>& answer, double encode_seconds);

// A MergePartialsResponse.
grpc::ByteBuffer Encode(const std::shared_ptr<const Merged>& merged);

// A StreamAttendResponse with the whole answer, and the status OK.
grpc::ByteBuffer EncodeResponse(std::uint64_t id, const std::shared_ptr<const Answer>& answer, double encode_seconds);
// One with all of an answer but its elements.
grpc::ByteBuffer EncodeResult(std::uint64_t id, const Answer& answer, double encode_seconds);
// One with some of a tensor's elements; the last one of an answer also has the status OK.
grpc::ByteBuffer EncodePart(std::uint64_t id, const std::shared_ptr<const Answer>& answer, core::Output tensor,
                            std::int64_t offset_bytes, std::int64_t size_bytes, bool is_last);
// One with nothing but a status.
grpc::ByteBuffer EncodeStatus(std::uint64_t id, const absl::Status& status);

}  // namespace attnd::server::attnd_v1

// From an answer to the slices of a message, without a copy of its tensors.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <memory>

#include "server/attend.h"

namespace attnd::server::attnd_v1 {

// An AttendResponse. Its slices refer to the answer's buffers and share the answer until gRPC has let go of the last of
// them, which may be on any thread. Never an invalid buffer.
grpc::ByteBuffer Encode(const std::shared_ptr<const Answer>& answer, double encode_seconds);

}  // namespace attnd::server::attnd_v1

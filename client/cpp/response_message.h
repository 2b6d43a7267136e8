// From the message that gRPC received to a result: one copy, into aligned memory.
#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/support/byte_buffer.h>

#include "client/cpp/client.h"

namespace attnd {

// INTERNAL where the bytes are no answer, or one that contradicts itself. Fields that this client does not know are
// skipped.
absl::StatusOr<AttendResult> DecodeResponse(grpc::ByteBuffer* message);

}  // namespace attnd

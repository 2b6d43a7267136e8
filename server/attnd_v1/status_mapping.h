// Errors as gRPC knows them.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/support/status.h>

namespace attnd::server::attnd_v1 {

// The same code and text. A text longer than 1,000 bytes is cut there: it travels as a header, whose size clients
// bound.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace attnd::server::attnd_v1

// Between gRPC's values and ours.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <algorithm>

namespace attnd {

inline absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

inline void SetDeadline(absl::Time deadline, grpc::ClientContext& context) {
  if (deadline == absl::InfiniteFuture()) return;
  // gRPC takes what lies too far back for no deadline at all.
  context.set_deadline(absl::ToChronoTime(std::max(deadline, absl::UnixEpoch())));
}

}  // namespace attnd

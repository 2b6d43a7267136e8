#pragma once

#include <absl/status/status.h>

#include <string>

namespace attnd::server {

// Writes {"grpc": …, "metrics": …} at `path` so that a reader finds all of it or nothing. UNAVAILABLE, naming the path,
// where that cannot be done.
absl::Status WritePortFile(const std::string& path, const std::string& grpc_address,
                           const std::string& metrics_address);

}  // namespace attnd::server

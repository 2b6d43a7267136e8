// The server's log: one line an event, on standard error.
#pragma once

#include <absl/strings/string_view.h>

#include <string>

namespace attnd::server {

// Sends our log, gRPC's and abseil's to standard error from `level` ("debug", "info", "warning" or "error") on. Once,
// before gRPC is used.
void StartLogging(absl::string_view level);

// What came from outside, as it may stand in a log line: control characters, quotes, backslashes and bytes beyond ASCII
// as escape sequences, and no more than the first 200 bytes.
std::string EscapedForLog(absl::string_view text);

}  // namespace attnd::server

// How a command that failed says so: one line on stderr, in which nothing can steer the terminal, and its exit status.
#pragma once

#include <absl/status/status.h>

#include <string>

#include "client/cli/exit_code.h"

namespace attnd::cli {

// What is wrong with the command line or a file.
ExitCode FailInput(const absl::Status& status);

// How a call to the server ended.
ExitCode FailCall(const std::string& server, const absl::Status& status);

}  // namespace attnd::cli

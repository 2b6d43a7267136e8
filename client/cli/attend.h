// `attnctl attend`: tensors from files through the server, written, compared, reported.
#pragma once

#include <optional>
#include <string>

#include "client/cli/attend_request.h"

namespace attnd::cli {

// attend_command.cpp's help texts say what each option means.
struct AttendOptions {
  std::string server;
  double timeout_seconds = 60;

  std::string input;
  ProblemOptions problem;

  std::optional<std::string> output;

  std::optional<std::string> expect;
  std::optional<std::string> expect_output;
  std::optional<std::string> expect_weights;
  std::optional<std::string> expect_log_sum_exp;
  double tolerance = 5e-6;

  bool json = false;
};

// Returns an ExitCode. Prints to stdout what came, to stderr what went wrong.
int RunAttend(const AttendOptions& options);

}  // namespace attnd::cli

// `attnctl attend`: tensors from files through the server, written, compared, reported.
#pragma once

#include <optional>
#include <string>

namespace attnd::cli {

// Tensors are named as inputs.h says. main.cpp's help texts say what each option means.
struct AttendOptions {
  std::string server;
  double timeout_seconds = 60;

  std::string input;
  std::string query = "query";
  std::string key = "key";
  std::string value = "value";
  std::string layout = "bhsd";
  std::optional<double> scale;
  std::optional<std::string> causal;
  std::optional<std::string> key_lengths;
  std::optional<std::string> mask;
  std::string empty_row = "zero";
  bool weights = false;
  bool log_sum_exp = false;

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

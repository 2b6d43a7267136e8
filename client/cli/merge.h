// `attnctl merge`: partial results in files through the server into one.
#pragma once

#include <string>
#include <vector>

namespace attnd::cli {

struct MergeOptions {
  std::string server;
  double timeout_seconds = 60;
  // Safetensors files with `output` and `log_sum_exp`, as `attend --log-sum-exp --output` writes them.
  std::vector<std::string> inputs;
  std::string output;
};

// Returns an ExitCode.
int RunMerge(const MergeOptions& options);

}  // namespace attnd::cli

// `attnctl bench`: a server under load, and what its callers feel of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/cpp/client.h"
#include "client/cpp/tensor.h"

namespace attnd::cli {

// main.cpp's help texts say what each option means.
struct BenchOptions {
  std::string server;

  std::optional<std::string> preset;  // instead of all that follows up to key_lengths
  std::int64_t batch = 1;
  std::int64_t heads = 8;
  std::optional<std::int64_t> key_value_heads;  // default: as heads
  std::int64_t queries = 512;
  std::optional<std::int64_t> keys;  // default: as queries
  std::int64_t head_size = 64;
  std::optional<std::int64_t> value_head_size;  // default: as head_size
  std::vector<std::int64_t> key_lengths;
  std::optional<CausalAlignment> causal;
  ElementType element_type = ElementType::kFloat32;

  bool stream = false;
  std::optional<int> concurrency;
  std::optional<double> rate;
  std::optional<double> seconds;
  std::optional<std::int64_t> requests;
  double warm_up_seconds = 1;
  double timeout_seconds = 10;

  bool json = false;
};

// Returns an ExitCode: kCallFailed where a request failed. Prints the report to stdout and, while it runs, how it goes
// to stderr, where that is a terminal. SIGINT and SIGTERM end the load, and then comes the report.
int RunBench(const BenchOptions& options);

}  // namespace attnd::cli

// A problem as the command line says it, and the request that it is.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <list>
#include <optional>
#include <string>

#include "client/cli/inputs.h"
#include "client/cpp/client.h"

namespace attnd::cli {

// Texts are as they were given: names of tensors (inputs.h), lists of numbers, or words.
struct ProblemOptions {
  std::string query = "query";
  std::string key = "key";
  std::string value = "value";
  std::string layout = "bhsd";
  std::optional<double> scale;
  std::string empty_row = "zero";
  std::optional<std::string> query_offsets;
  std::optional<std::string> key_offsets;

  // What hides keys.
  std::optional<std::string> causal;
  std::optional<std::string> prefix_lengths;
  std::optional<std::string> positions;
  std::optional<std::int64_t> window_left;
  std::optional<std::int64_t> window_right;
  std::optional<std::string> key_lengths;
  std::optional<std::string> query_lengths;
  std::optional<std::string> query_segment_ids;
  std::optional<std::string> key_segment_ids;
  std::optional<std::string> mask;
  std::optional<std::string> block_mask;
  std::int64_t block_rows = 0;
  std::int64_t block_keys = 0;

  // What changes scores.
  std::optional<std::string> bias;
  std::string bias_place = "after-soft-cap";
  std::optional<std::string> alibi_slopes;
  std::optional<double> soft_cap;
  std::optional<std::string> sinks;

  // What is answered beside the output.
  bool weights = false;
  bool log_sum_exp = false;
  std::optional<std::string> batch_entries;
  std::optional<std::string> heads;
  std::optional<std::string> query_rows;
  std::string head_reduction = "none";
  std::optional<std::string> matrix;
  std::optional<std::string> matrix_type;
  std::int64_t top_keys = 0;
  bool entropy = false;
  bool largest_weight = false;
  std::int64_t first_keys = 0;
  bool mean_distance = false;
  bool received_sum = false;
  bool received_maximum = false;
  std::optional<std::string> pooled_map;
  std::string pooling = "mean";
};

// Where a causal mask's or the positions' text is none of these, it is a list of offsets. The first is --causal's
// without a value.
inline constexpr char kSameLength[] = "same-length";
inline constexpr char kTopLeft[] = "top-left";
inline constexpr char kBottomRight[] = "bottom-right";

// Its views refer to the inputs and to what had to be converted.
struct PreparedRequest {
  AttendRequest request;
  std::list<Tensor> converted;
};

// An error has the name of the option or tensor in its text.
absl::StatusOr<PreparedRequest> PrepareRequest(Inputs& inputs, const ProblemOptions& options);

}  // namespace attnd::cli

#include "core/merge.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "core/checks.h"
#include "core/kernels/softmax.h"

namespace attnd::core {
namespace {

absl::Status CheckTypesAndShapes(const MergeDescription& d) {
  if (absl::Status status = CheckIsComputable(d.output, "output"); !status.ok()) return status;
  if (d.output.shape.size() < 2) {
    return Invalid("output.shape: rank ", d.output.shape.size(), " found, at least 2 expected");
  }
  if (d.log_sum_exp.element_type != ElementType::kFloat32) {
    return Invalid("log_sum_exp.element_type: ", ElementTypeName(d.log_sum_exp.element_type),
                   " found, float32 expected");
  }
  const Shape expected(d.output.shape.begin(), d.output.shape.end() - 1);
  if (d.log_sum_exp.shape != expected) {
    return Invalid("log_sum_exp.shape: ", ToString(d.log_sum_exp.shape), " found, ", ToString(expected),
                   ", that of output without its last dimension, expected");
  }
  return absl::OkStatus();
}

AnswerTensor WithoutParts(TensorDescription tensor, std::int64_t size_bytes) {
  const std::int64_t parts = tensor.shape.front();
  tensor.shape.erase(tensor.shape.begin());
  return {.description = std::move(tensor), .size_bytes = size_bytes / parts};
}

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// Of a row, over all parts.
double LogSumExp(const Merge& merge, const float* log_sum_exp, std::int64_t row) {
  const auto of_part = [&](std::int64_t part) { return static_cast<double>(log_sum_exp[part * merge.rows + row]); };
  double maximum = kMinusInfinity;
  for (std::int64_t part = 0; part < merge.parts; ++part) {
    // A NaN stays, whatever comes after it.
    if (std::isnan(of_part(part)) || of_part(part) > maximum) maximum = of_part(part);
  }
  if (maximum == kMinusInfinity) return maximum;
  double sum = 0;
  for (std::int64_t part = 0; part < merge.parts; ++part) sum += std::exp(of_part(part) - maximum);
  return maximum + std::log(sum);
}

// exp(l_n − L). A part that is not empty keeps counting where that is too small for a number: its NaN and infinities
// must reach the result.
double ShareOf(float of_part, double log_sum_exp) {
  if (of_part == -std::numeric_limits<float>::infinity()) return 0;
  return std::max(std::exp(of_part - log_sum_exp), std::numeric_limits<double>::denorm_min());
}

// Elements of a row that are merged together.
constexpr std::int64_t kChunk = 256;

// Elements [first, first + count) of a row.
void MergeChunk(const Merge& merge, const MergeTensors& tensors, std::int64_t row, std::int64_t first,
                std::int64_t count, double log_sum_exp) {
  const auto element_size_bytes = static_cast<std::int64_t>(ElementSizeBytes(merge.element_type));
  const std::int64_t merged_element = row * merge.value_head_size + first;
  std::array<double, kChunk> sums{};
  std::array<float, kChunk> chunk;
  for (std::int64_t part = 0; part < merge.parts; ++part) {
    const double share = ShareOf(tensors.log_sum_exp[part * merge.rows + row], log_sum_exp);
    if (share == 0) continue;
    const std::int64_t element = (part * merge.rows + row) * merge.value_head_size + first;
    kernels::ToFloat32(merge.element_type, static_cast<const std::byte*>(tensors.output) + element * element_size_bytes,
                       count, chunk.data());
    for (std::int64_t i = 0; i < count; ++i) {
      sums[static_cast<std::size_t>(i)] += share * static_cast<double>(chunk[static_cast<std::size_t>(i)]);
    }
  }
  std::transform(sums.begin(), sums.begin() + count, chunk.begin(), [](double sum) { return static_cast<float>(sum); });
  kernels::FromFloat32(chunk.data(), count, merge.element_type,
                       static_cast<std::byte*>(tensors.merged_output) + merged_element * element_size_bytes);
}

}  // namespace

absl::StatusOr<Merge> CheckMerge(const MergeDescription& description, const Limits& limits) {
  const MergeDescription& d = description;
  if (absl::Status status = CheckTypesAndShapes(d); !status.ok()) return status;
  if (absl::Status status = CheckSize(d.output, "output", "output_data", d.output_size_bytes); !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckSize(d.log_sum_exp, "log_sum_exp", "log_sum_exp_data", d.log_sum_exp_size_bytes);
      !status.ok()) {
    return status;
  }
  Merge merge;
  merge.element_type = d.output.element_type;
  merge.parts = d.output.shape.front();
  merge.value_head_size = d.output.shape.back();
  merge.output = WithoutParts(d.output, d.output_size_bytes);
  merge.log_sum_exp = WithoutParts(d.log_sum_exp, d.log_sum_exp_size_bytes);
  merge.rows = merge.log_sum_exp.size_bytes / static_cast<std::int64_t>(sizeof(float));
  std::int64_t total_bytes = 0;
  if (__builtin_add_overflow(merge.output.size_bytes, merge.log_sum_exp.size_bytes, &total_bytes) ||
      total_bytes > limits.max_answer_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("output: the merged tensors take ", merge.output.size_bytes, " + ",
                                                     merge.log_sum_exp.size_bytes, " bytes, at most ",
                                                     limits.max_answer_bytes, " (limits.max_message_bytes) expected"));
  }
  return merge;
}

void MergeRows(const Merge& merge, const MergeTensors& tensors, std::int64_t first_row, std::int64_t end_row) {
  for (std::int64_t row = first_row; row < end_row; ++row) {
    const double log_sum_exp = LogSumExp(merge, tensors.log_sum_exp, row);
    tensors.merged_log_sum_exp[row] = static_cast<float>(log_sum_exp);
    for (std::int64_t first = 0; first < merge.value_head_size; first += kChunk) {
      MergeChunk(merge, tensors, row, first, std::min(kChunk, merge.value_head_size - first), log_sum_exp);
    }
  }
}

}  // namespace attnd::core

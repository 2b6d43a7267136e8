#include <algorithm>
#include <utility>

#include "core/problem_parts.h"

namespace attnd::core {
namespace {

constexpr std::int64_t kMaxTopKeys = 256;
constexpr std::int64_t kMaxPooledSize = 1024;

// How many batch entries, heads and rows the summaries cover, and of how many keys they speak.
struct Covered {
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t rows = 0;
  std::int64_t keys = 0;
};

Covered AllOf(const Problem& problem) {
  Covered all{.batch = problem.batch, .heads = problem.query_heads, .rows = problem.query_rows, .keys = problem.keys};
  if (problem.is_ragged()) {
    all.rows = problem.query_offsets.back();
    all.keys = problem.key_offsets.back();
  }
  return all;
}

absl::StatusOr<std::int64_t> CheckChosen(absl::string_view field, const std::vector<std::int64_t>& chosen,
                                         std::int64_t count) {
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i] < 0 || chosen[i] >= count) {
      return Invalid(field, "[", i, "]: ", chosen[i], " found, 0 to ", count - 1, " expected");
    }
    if (i > 0 && chosen[i] <= chosen[i - 1]) {
      return Invalid(field, "[", i, "]: ", chosen[i], " found, more than the ", chosen[i - 1], " before it expected");
    }
  }
  return chosen.empty() ? count : static_cast<std::int64_t>(chosen.size());
}

absl::StatusOr<Covered> CheckCovered(const SummaryOptions& summaries, const Problem& problem) {
  if (problem.is_ragged() && !summaries.batch_entries.empty()) {
    return Invalid("problem.summaries.batch_entries: ", summaries.batch_entries.size(),
                   " found, none expected beside problem.ragged");
  }
  Covered covered = AllOf(problem);
  const std::pair<absl::string_view, const std::vector<std::int64_t>*> chosen[] = {
      {"problem.summaries.batch_entries", &summaries.batch_entries},
      {"problem.summaries.heads", &summaries.heads},
      {"problem.summaries.query_rows", &summaries.query_rows}};
  std::int64_t* const counts[] = {&covered.batch, &covered.heads, &covered.rows};
  for (std::size_t i = 0; i < std::size(counts); ++i) {
    const absl::StatusOr<std::int64_t> count = CheckChosen(chosen[i].first, *chosen[i].second, *counts[i]);
    if (!count.ok()) return count.status();
    *counts[i] = *count;
  }
  return covered;
}

absl::Status CheckRange(absl::string_view field, std::int64_t found, std::int64_t least, std::int64_t most) {
  if (found >= least && found <= most) return absl::OkStatus();
  return Invalid(field, ": ", found, " found, ", least, " to ", most, " expected");
}

absl::Status CheckSummaries(const SummaryOptions& summaries, const Problem& problem) {
  if (absl::Status status = CheckRange("problem.summaries.top_keys", summaries.top_keys, 0, kMaxTopKeys);
      !status.ok()) {
    return status;
  }
  constexpr std::int64_t kMostKeys = INT32_MAX;
  if (summaries.top_keys > 0 && problem.keys > kMostKeys) {
    return Invalid("problem.summaries.top_keys: ", problem.keys, " keys found, at most ", kMostKeys,
                   " expected, which int32 holds");
  }
  if (absl::Status status = CheckRange("problem.summaries.first_keys", summaries.first_keys, 0, INT64_MAX);
      !status.ok()) {
    return status;
  }
  if (summaries.matrix.has_value()) {
    const ElementType type = summaries.matrix->element_type.value_or(ElementType::kFloat32);
    if (type != ElementType::kFloat32 && type != problem.element_type) {
      return Invalid("problem.summaries.matrix.element_type: ", ElementTypeName(type),
                     " found, float32 or the query's ", ElementTypeName(problem.element_type), " expected");
    }
  }
  if (!summaries.pooled_map.has_value()) return absl::OkStatus();
  if (absl::Status status =
          CheckRange("problem.summaries.pooled_map.rows", summaries.pooled_map->rows, 1, kMaxPooledSize);
      !status.ok()) {
    return status;
  }
  return CheckRange("problem.summaries.pooled_map.columns", summaries.pooled_map->columns, 1, kMaxPooledSize);
}

// [B', H', …] without the dimensions that the query does not have, and without heads that are reduced. `last` follows.
class SummaryShape {
 public:
  SummaryShape(const ProblemDescription& d, const Covered& covered)
      : has_batch_(d.query.shape.size() > 2 && !d.ragged.has_value()),
        has_heads_((d.query.shape.size() == 4 || d.ragged.has_value()) &&
                   d.summaries.head_reduction == HeadReduction::kNone),
        covered_(covered) {}

  Shape Of(std::initializer_list<std::int64_t> last) const { return Make(has_batch_, last); }
  // Of what each batch entry has, also in a ragged batch.
  Shape OfEntries(bool is_ragged, std::initializer_list<std::int64_t> last) const {
    return Make(has_batch_ || is_ragged, last);
  }

 private:
  Shape Make(bool has_batch, std::initializer_list<std::int64_t> last) const {
    Shape shape;
    if (has_batch) shape.push_back(covered_.batch);
    if (has_heads_) shape.push_back(covered_.heads);
    shape.insert(shape.end(), last.begin(), last.end());
    return shape;
  }

  const bool has_batch_;
  const bool has_heads_;
  const Covered covered_;
};

// Adds up the tensors of the answer.
class AnswerSizes {
 public:
  explicit AnswerSizes(Problem& problem) : problem_(problem) {}

  void Add(Output name, absl::string_view field, ElementType type, Shape shape) {
    if (!status_.ok()) return;
    TensorDescription description{type, std::move(shape)};
    const absl::StatusOr<std::int64_t> size_bytes = SizeBytes(description, field);
    if (!size_bytes.ok()) {
      status_ = size_bytes.status();
      return;
    }
    problem_.answer[name] = {.description = std::move(description), .size_bytes = *size_bytes};
    if (__builtin_add_overflow(total_bytes_, *size_bytes, &total_bytes_)) total_bytes_ = INT64_MAX;
  }

  const absl::Status& status() const { return status_; }
  std::int64_t total_bytes() const { return total_bytes_; }

 private:
  Problem& problem_;
  absl::Status status_;
  std::int64_t total_bytes_ = 0;
};

void AddSummaries(const ProblemDescription& d, const Covered& covered, const Problem& problem, AnswerSizes& sizes) {
  const SummaryOptions& asked = d.summaries;
  const SummaryShape shape(d, covered);
  constexpr ElementType kFloat32 = ElementType::kFloat32;
  if (asked.matrix.has_value()) {
    sizes.Add(Output::kMatrix, "result.matrix", asked.matrix->element_type.value_or(kFloat32),
              shape.Of({covered.rows, problem.keys}));
  }
  if (asked.top_keys > 0) {
    sizes.Add(Output::kTopKeys, "result.top_keys", ElementType::kInt32, shape.Of({covered.rows, asked.top_keys}));
    sizes.Add(Output::kTopWeights, "result.top_weights", kFloat32, shape.Of({covered.rows, asked.top_keys}));
  }
  const auto add = [&](bool is_asked, Output name, absl::string_view field, std::int64_t last) {
    if (is_asked) sizes.Add(name, field, kFloat32, shape.Of({last}));
  };
  add(asked.entropy, Output::kEntropy, "result.entropy", covered.rows);
  add(asked.largest_weight, Output::kLargestWeight, "result.largest_weight", covered.rows);
  add(asked.first_keys > 0, Output::kFirstKeysWeight, "result.first_keys_weight", covered.rows);
  add(asked.mean_distance, Output::kMeanDistance, "result.mean_distance", covered.rows);
  add(asked.received_sum, Output::kReceivedSum, "result.received_sum", covered.keys);
  add(asked.received_maximum, Output::kReceivedMaximum, "result.received_maximum", covered.keys);
  if (asked.pooled_map.has_value()) {
    sizes.Add(Output::kPooledMap, "result.pooled_map", kFloat32,
              shape.OfEntries(problem.is_ragged(), {asked.pooled_map->rows, asked.pooled_map->columns}));
  }
}

// The shape of what has one element a row.
Shape RowShape(const ProblemDescription& d, const Problem& problem) {
  if (problem.is_ragged()) return {problem.query_heads, problem.query_offsets.back()};
  Shape shape = MaskShape(d, problem, problem.query_rows, problem.keys);
  shape.pop_back();
  return shape;
}

// Which summaries would take the place of the whole matrix within what is left of the limit: "…, b of which …".
std::string WhatFits(const Problem& problem, std::int64_t other_bytes, std::int64_t limit_bytes) {
  const Covered all = AllOf(problem);
  const double left_bytes = static_cast<double>(limit_bytes) - static_cast<double>(other_bytes);
  const double entries = problem.is_ragged() ? 1 : static_cast<double>(problem.batch);
  const double heads = entries * static_cast<double>(problem.query_heads);
  std::string fits;
  const auto add = [&](absl::string_view name, double size_bytes) {
    if (size_bytes > left_bytes) return false;
    absl::StrAppend(&fits, fits.empty() ? "; of problem.summaries, " : ", ", name, " would take ",
                    static_cast<std::int64_t>(size_bytes));
    return true;
  };
  constexpr double kFloat32SizeBytes = sizeof(float);
  const double row_bytes = heads * static_cast<double>(all.rows) * kFloat32SizeBytes;
  add("top_keys of 16", row_bytes * 16 * 2);
  add("entropy", row_bytes);
  add("received_sum", heads * static_cast<double>(all.keys) * kFloat32SizeBytes);
  const double maps = static_cast<double>(problem.query_heads) * static_cast<double>(problem.batch);
  for (std::int64_t size = kMaxPooledSize; size >= 64; size /= 2) {
    const auto cells = static_cast<double>(size * size);
    if (add(absl::StrCat("pooled_map of ", size, " x ", size), maps * cells * kFloat32SizeBytes)) break;
  }
  return fits;
}

absl::Status CheckTotal(const Problem& problem, std::int64_t total_bytes, const Limits& limits) {
  if (total_bytes <= limits.max_answer_bytes) return absl::OkStatus();
  std::string text = absl::StrCat("result: the answer's tensors take ", total_bytes, " bytes, at most ",
                                  limits.max_answer_bytes, " (limits.max_message_bytes) expected");
  std::int64_t matrix_bytes = 0;
  for (const auto& [name, field] : {std::pair(Output::kWeights, "problem.return_weights"),
                                    std::pair(Output::kMatrix, "problem.summaries.matrix")}) {
    const std::int64_t size_bytes = problem.answer[name].size_bytes;
    if (size_bytes == 0) continue;
    absl::StrAppend(&text, "; ", field, " takes ", size_bytes, " of them");
    if (__builtin_add_overflow(matrix_bytes, size_bytes, &matrix_bytes)) matrix_bytes = INT64_MAX;
  }
  if (matrix_bytes > 0) absl::StrAppend(&text, WhatFits(problem, total_bytes - matrix_bytes, limits.max_answer_bytes));
  return absl::ResourceExhaustedError(text);
}

}  // namespace

absl::Status FillAnswer(const ProblemDescription& description, const Limits& limits, Problem& problem) {
  const ProblemDescription& d = description;
  if (absl::Status status = CheckSummaries(d.summaries, problem); !status.ok()) return status;
  const absl::StatusOr<Covered> covered = CheckCovered(d.summaries, problem);
  if (!covered.ok()) return covered.status();
  problem.summaries = d.summaries;

  AnswerSizes sizes(problem);
  Shape output = d.query.shape;
  output.back() = problem.value_head_size;
  sizes.Add(Output::kOutput, "result.output", d.query.element_type, std::move(output));
  const Shape rows = RowShape(d, problem);
  if (d.return_weights) {
    Shape weights = rows;
    weights.push_back(problem.keys);
    sizes.Add(Output::kWeights, "result.weights", ElementType::kFloat32, std::move(weights));
  }
  if (d.return_log_sum_exp) sizes.Add(Output::kLogSumExp, "result.log_sum_exp", ElementType::kFloat32, rows);
  AddSummaries(d, *covered, problem, sizes);
  if (!sizes.status().ok()) return sizes.status();
  return CheckTotal(problem, sizes.total_bytes(), limits);
}

}  // namespace attnd::core

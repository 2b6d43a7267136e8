#include "core/problem.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/problem_parts.h"

namespace attnd::core {
namespace {

// The fields' names in attention.proto.
constexpr absl::string_view kQuery = "problem.query";
constexpr absl::string_view kKey = "problem.tensors.key";
constexpr absl::string_view kValue = "problem.tensors.value";

// A tensor of rank 2 to 4 seen as [B, H, S, D]; of a ragged batch, as [1, H, T, D].
struct Dimensions {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t rows = 0;
  std::int64_t size = 0;
};

Dimensions DimensionsOf(const Shape& shape, const ProblemDescription& d) {
  const std::size_t rank = shape.size();
  if (d.ragged.has_value()) return {.heads = shape[1], .rows = shape[0], .size = shape[2]};
  Dimensions result{.rows = shape[rank - 2], .size = shape[rank - 1]};
  if (rank >= 3) result.batch = shape[0];
  if (rank == 4) result.heads = shape[1];
  if (d.layout == Layout::kBshd) {
    result.heads = shape[2];
    result.rows = shape[1];
  }
  return result;
}

Strides StridesOf(const Dimensions& sizes, const ProblemDescription& d) {
  if (d.ragged.has_value()) return {.batch = 0, .head = sizes.size, .row = sizes.heads * sizes.size};
  if (d.layout == Layout::kBshd) {
    return {.batch = sizes.rows * sizes.heads * sizes.size, .head = sizes.size, .row = sizes.heads * sizes.size};
  }
  return {.batch = sizes.heads * sizes.rows * sizes.size, .head = sizes.rows * sizes.size, .row = sizes.size};
}

absl::Status CheckQuery(const ProblemDescription& d) {
  const std::size_t rank = d.query.shape.size();
  if (absl::Status status = CheckIsComputable(d.query, kQuery); !status.ok()) return status;
  if (d.ragged.has_value() && rank != 3) {
    return Invalid(kQuery, ".shape: rank ", rank, " found, 3 expected with problem.ragged");
  }
  if (d.layout == Layout::kBshd && rank != 4) {
    return Invalid(kQuery, ".shape: rank ", rank, " found, 4 expected with LAYOUT_BSHD");
  }
  if (rank < 2 || rank > 4) return Invalid(kQuery, ".shape: rank ", rank, " found, 2, 3 or 4 expected");
  return CheckSize(d.query, kQuery, "query_data", d.size_bytes[Input::kQuery]);
}

absl::Status CheckLikeQuery(const ProblemDescription& d, const TensorDescription& tensor, absl::string_view field) {
  if (tensor.element_type != d.query.element_type) {
    return Invalid(field, ".element_type: ", ElementTypeName(tensor.element_type), " found, the query's ",
                   ElementTypeName(d.query.element_type), " expected");
  }
  if (tensor.shape.size() != d.query.shape.size()) {
    return Invalid(field, ".shape: rank ", tensor.shape.size(), " found, the query's ", d.query.shape.size(),
                   " expected");
  }
  return absl::OkStatus();
}

absl::Status CheckKeyAndValue(const ProblemDescription& d) {
  if (absl::Status status = CheckLikeQuery(d, d.key, kKey); !status.ok()) return status;
  if (absl::Status status = CheckLikeQuery(d, d.value, kValue); !status.ok()) return status;
  if (absl::Status status = CheckSize(d.key, kKey, "key_data", d.size_bytes[Input::kKey]); !status.ok()) return status;
  return CheckSize(d.value, kValue, "value_data", d.size_bytes[Input::kValue]);
}

absl::Status CheckDimensions(const Dimensions& query, const Dimensions& key, const Dimensions& value) {
  if (query.size > kMaxHeadSize) {
    return Invalid(kQuery, ".shape: head size ", query.size, " found, at most ", kMaxHeadSize, " expected");
  }
  if (value.size > kMaxHeadSize) {
    return Invalid(kValue, ".shape: head size ", value.size, " found, at most ", kMaxHeadSize, " expected");
  }
  if (key.size != query.size) {
    return Invalid(kKey, ".shape: head size ", key.size, " found, the query's ", query.size, " expected");
  }
  if (key.batch != query.batch) {
    return Invalid(kKey, ".shape: batch ", key.batch, " found, the query's ", query.batch, " expected");
  }
  if (value.batch != query.batch) {
    return Invalid(kValue, ".shape: batch ", value.batch, " found, the query's ", query.batch, " expected");
  }
  if (query.heads % key.heads != 0) {
    return Invalid(kKey, ".shape: ", key.heads, " heads found, a divisor of the query's ", query.heads, " expected");
  }
  if (value.heads != key.heads) {
    return Invalid(kValue, ".shape: ", value.heads, " heads found, the key's ", key.heads, " expected");
  }
  if (value.rows != key.rows) {
    return Invalid(kValue, ".shape: ", value.rows, " rows found, the key's ", key.rows, " expected");
  }
  return absl::OkStatus();
}

absl::StatusOr<float> CheckScale(std::optional<double> scale, std::int64_t head_size) {
  if (!scale.has_value()) return static_cast<float>(1 / std::sqrt(static_cast<double>(head_size)));
  if (!(std::abs(*scale) <= kMaxScale)) {
    return Invalid("problem.scale: ", *scale, " found, a finite number of at most ", kMaxScale,
                   " in magnitude expected");
  }
  return static_cast<float>(*scale);
}

// Offsets of a ragged batch: from 0 to all of the tensor's rows, without a step back.
absl::Status CheckOffsets(absl::string_view field, const std::vector<std::int64_t>& offsets, std::int64_t rows) {
  if (offsets.size() < 2) {
    return Invalid(field, ": ", offsets.size(), " numbers found, at least 2 expected, one more than sequences");
  }
  if (offsets.front() != 0) return Invalid(field, "[0]: ", offsets.front(), " found, 0 expected");
  for (std::size_t i = 1; i < offsets.size(); ++i) {
    if (offsets[i] < offsets[i - 1]) {
      return Invalid(field, "[", i, "]: ", offsets[i], " found, at least the ", offsets[i - 1], " before it expected");
    }
  }
  if (offsets.back() != rows) {
    return Invalid(field, "[", offsets.size() - 1, "]: ", offsets.back(), " found, ", rows,
                   " expected, the rows of the tensor");
  }
  return absl::OkStatus();
}

std::int64_t LongestSequence(const std::vector<std::int64_t>& offsets) {
  std::int64_t longest = 0;
  for (std::size_t i = 1; i < offsets.size(); ++i) longest = std::max(longest, offsets[i] - offsets[i - 1]);
  return longest;
}

absl::Status FillRagged(const RaggedOptions& ragged, std::int64_t all_rows, std::int64_t all_keys, Problem& problem) {
  constexpr absl::string_view kQueryOffsets = "problem.ragged.query_offsets";
  constexpr absl::string_view kKeyOffsets = "problem.ragged.key_offsets";
  if (absl::Status status = CheckOffsets(kQueryOffsets, ragged.query_offsets, all_rows); !status.ok()) return status;
  if (absl::Status status = CheckOffsets(kKeyOffsets, ragged.key_offsets, all_keys); !status.ok()) return status;
  if (ragged.key_offsets.size() != ragged.query_offsets.size()) {
    return Invalid(kKeyOffsets, ": ", ragged.key_offsets.size(), " numbers found, ", ragged.query_offsets.size(),
                   " expected, as many as query_offsets");
  }
  problem.query_offsets = ragged.query_offsets;
  problem.key_offsets = ragged.key_offsets;
  problem.batch = static_cast<std::int64_t>(ragged.query_offsets.size()) - 1;
  problem.query_rows = LongestSequence(ragged.query_offsets);
  problem.keys = LongestSequence(ragged.key_offsets);
  return absl::OkStatus();
}

absl::Status FillTensors(const ProblemDescription& d, Problem& problem) {
  const Dimensions query = DimensionsOf(d.query.shape, d);
  const Dimensions key = DimensionsOf(d.key.shape, d);
  const Dimensions value = DimensionsOf(d.value.shape, d);
  if (absl::Status status = CheckDimensions(query, key, value); !status.ok()) return status;
  const absl::StatusOr<float> scale = CheckScale(d.scale, query.size);
  if (!scale.ok()) return scale.status();
  problem.element_type = d.query.element_type;
  problem.batch = query.batch;
  problem.query_heads = query.heads;
  problem.key_value_heads = key.heads;
  problem.query_rows = query.rows;
  problem.keys = key.rows;
  problem.head_size = query.size;
  problem.value_head_size = value.size;
  problem.scale = *scale;
  problem.query_strides = StridesOf(query, d);
  problem.key_strides = StridesOf(key, d);
  problem.value_strides = StridesOf(value, d);
  // Strides fit where the bytes do.
  TensorDescription answer = d.query;
  answer.shape.back() = value.size;
  if (const absl::StatusOr<std::int64_t> bytes = SizeBytes(answer, "result.output"); !bytes.ok()) return bytes.status();
  Dimensions output = query;
  output.size = value.size;
  problem.output_strides = StridesOf(output, d);
  problem.row_strides = {.batch = d.ragged.has_value() ? 0 : query.heads * query.rows, .head = query.rows, .row = 1};
  return d.ragged.has_value() ? FillRagged(*d.ragged, query.rows, key.rows, problem) : absl::OkStatus();
}

}  // namespace

absl::Status CheckNoData(absl::string_view data_field, std::int64_t found_size_bytes, absl::string_view missing_field) {
  if (found_size_bytes == 0) return absl::OkStatus();
  return Invalid(data_field, ": ", found_size_bytes, " bytes found, none expected without ", missing_field);
}

absl::Status CheckCount(absl::string_view field, absl::string_view noun, std::size_t found, const Problem& problem) {
  if (static_cast<std::int64_t>(found) == problem.batch) return absl::OkStatus();
  return Invalid(field, ": ", found, " ", noun, " found, one for each of ", problem.batch, " batch entries expected");
}

Shape MaskShape(const ProblemDescription& description, const Problem& problem, std::int64_t rows, std::int64_t keys) {
  const std::size_t rank = description.query.shape.size();
  if (rank == 2) return {rows, keys};
  if (rank == 3 && !problem.is_ragged()) return {problem.batch, rows, keys};
  return {problem.batch, problem.query_heads, rows, keys};
}

absl::StatusOr<BroadcastStrides> Broadcast(const TensorDescription& tensor, absl::string_view field,
                                           const Shape& target, absl::string_view target_name, bool may_be_narrower) {
  const std::size_t rank = tensor.shape.size();
  if (rank > target.size()) {
    return Invalid(field, ".shape: rank ", rank, " found, at most ", target.size(), ", that of ", target_name, " ",
                   ToString(target), ", expected");
  }
  // By distance from the right: key, query, then head (or batch, at rank 3), then batch.
  std::array<std::int64_t, 4> strides{};
  BroadcastStrides result{.keys_end = target.back()};
  std::int64_t stride = 1;
  for (std::size_t i = 1; i <= rank; ++i) {
    const std::int64_t found = tensor.shape[rank - i];
    const std::int64_t wanted = target[target.size() - i];
    const bool is_narrower = i == 1 && may_be_narrower && found > 1 && found < wanted;
    if (found != 1 && found != wanted && !is_narrower) {
      return Invalid(field, ".shape: ", ToString(tensor.shape), " found, which does not broadcast to ", target_name,
                     "' ", ToString(target), ": dimension ", rank - i, " is ", found, ", 1 or ",
                     i == 1 && may_be_narrower ? "at most " : "", wanted, " expected");
    }
    if (is_narrower) result.keys_end = found;
    strides[i - 1] = found == 1 ? 0 : stride;
    stride *= found;
  }
  result.key = strides[0];
  result.query = strides[1];
  result.head = target.size() == 4 ? strides[2] : 0;
  result.batch = target.size() == 4 ? strides[3] : strides[2];
  return result;
}

Sequence Problem::SequenceAt(std::int64_t batch_entry) const {
  const auto entry = static_cast<std::size_t>(batch_entry);
  const auto at = [entry](const std::vector<std::int64_t>& numbers, std::int64_t otherwise) {
    return numbers.empty() ? otherwise : numbers[entry];
  };
  Sequence sequence{.rows = query_rows, .keys = keys};
  if (is_ragged()) {
    sequence.first_row = query_offsets[entry];
    sequence.first_key = key_offsets[entry];
    sequence.rows = query_offsets[entry + 1] - sequence.first_row;
    sequence.keys = key_offsets[entry + 1] - sequence.first_key;
  }
  sequence.query_length = at(query_lengths, sequence.rows);
  sequence.key_length = at(key_lengths, sequence.keys);
  sequence.offset = at(position_offsets, is_bottom_right ? sequence.keys - sequence.rows : 0);
  sequence.prefix_length = at(prefix_lengths, 0);
  return sequence;
}

absl::StatusOr<Problem> CheckProblem(const ProblemDescription& description, const Limits& limits) {
  if (absl::Status status = CheckQuery(description); !status.ok()) return status;
  if (absl::Status status = CheckKeyAndValue(description); !status.ok()) return status;
  Problem problem;
  if (absl::Status status = FillTensors(description, problem); !status.ok()) return status;
  if (absl::Status status = FillMasks(description, problem); !status.ok()) return status;
  if (absl::Status status = FillModifiers(description, problem); !status.ok()) return status;
  problem.empty_row = description.empty_row;
  if (absl::Status status = FillAnswer(description, limits, problem); !status.ok()) return status;
  return problem;
}

}  // namespace attnd::core

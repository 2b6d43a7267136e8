#include "core/problem.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

namespace attnd::core {
namespace {

// The fields' names in attention.proto.
constexpr absl::string_view kQuery = "problem.query";
constexpr absl::string_view kKey = "problem.tensors.key";
constexpr absl::string_view kValue = "problem.tensors.value";
constexpr absl::string_view kBoolean = "problem.mask.boolean.tensor";

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// A tensor of rank 2 to 4 seen as [B, H, S, D].
struct Dimensions {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t rows = 0;
  std::int64_t size = 0;
};

Dimensions DimensionsOf(const Shape& shape, Layout layout) {
  const std::size_t rank = shape.size();
  Dimensions result{.rows = shape[rank - 2], .size = shape[rank - 1]};
  if (rank >= 3) result.batch = shape[0];
  if (rank == 4) result.heads = shape[1];
  if (layout == Layout::kBshd) {
    result.heads = shape[2];
    result.rows = shape[1];
  }
  return result;
}

Strides StridesOf(const Dimensions& d, Layout layout) {
  if (layout == Layout::kBshd) {
    return {.batch = d.rows * d.heads * d.size, .head = d.size, .row = d.heads * d.size};
  }
  return {.batch = d.heads * d.rows * d.size, .head = d.rows * d.size, .row = d.size};
}

bool IsComputable(ElementType type) {
  return type == ElementType::kFloat32 || type == ElementType::kBfloat16 || type == ElementType::kFloat16;
}

absl::Status CheckSize(const TensorDescription& tensor, absl::string_view field, absl::string_view data_field,
                       std::int64_t found_size_bytes) {
  const absl::StatusOr<std::int64_t> size_bytes = SizeBytes(tensor, field);
  if (!size_bytes.ok()) return size_bytes.status();
  if (found_size_bytes != *size_bytes) {
    return Invalid(data_field, ": ", found_size_bytes, " bytes found, ", *size_bytes, " expected for ", field, " of ",
                   ElementTypeName(tensor.element_type), " ", ToString(tensor.shape));
  }
  return absl::OkStatus();
}

absl::Status CheckQuery(const ProblemDescription& d) {
  const std::size_t rank = d.query.shape.size();
  if (!IsComputable(d.query.element_type)) {
    return Invalid(kQuery, ".element_type: ", ElementTypeName(d.query.element_type),
                   " found, float32, bfloat16 or float16 expected");
  }
  if (d.layout == Layout::kBshd && rank != 4) {
    return Invalid(kQuery, ".shape: rank ", rank, " found, 4 expected with LAYOUT_BSHD");
  }
  if (rank < 2 || rank > 4) return Invalid(kQuery, ".shape: rank ", rank, " found, 2, 3 or 4 expected");
  return CheckSize(d.query, kQuery, "query_data", d.query_size_bytes);
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
  if (absl::Status status = CheckSize(d.key, kKey, "key_data", d.key_size_bytes); !status.ok()) return status;
  return CheckSize(d.value, kValue, "value_data", d.value_size_bytes);
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

absl::Status FillAlignedOffsets(CausalAlignment causal, Problem& problem) {
  if (causal == CausalAlignment::kUnspecified && problem.query_rows != problem.keys) {
    return Invalid(
        "problem.mask.causal.alignment: not given, ALIGNMENT_TOP_LEFT or ALIGNMENT_BOTTOM_RIGHT expected, since ",
        problem.query_rows, " query rows and ", problem.keys, " keys differ");
  }
  const std::int64_t offset = causal == CausalAlignment::kBottomRight ? problem.keys - problem.query_rows : 0;
  problem.causal_offsets.assign(static_cast<std::size_t>(problem.batch), offset);
  return absl::OkStatus();
}

absl::Status FillGivenOffsets(const std::vector<std::int64_t>& offsets, Problem& problem) {
  if (static_cast<std::int64_t>(offsets.size()) != problem.batch) {
    return Invalid("problem.mask.causal.offsets: ", offsets.size(), " offsets found, one for each of ", problem.batch,
                   " batch entries expected");
  }
  problem.causal_offsets = offsets;
  // Beyond these no key is visible to any row, or every key to all: the same, without a sum that overflows.
  for (std::int64_t& offset : problem.causal_offsets) offset = std::clamp(offset, -problem.query_rows, problem.keys);
  return absl::OkStatus();
}

absl::Status FillCausal(const MaskOptions& mask, Problem& problem) {
  if (mask.causal.has_value() && mask.causal_offsets.has_value()) {
    return Invalid("problem.mask.causal.alignment: given beside offsets, one of the two expected");
  }
  if (mask.causal.has_value()) return FillAlignedOffsets(*mask.causal, problem);
  if (mask.causal_offsets.has_value()) return FillGivenOffsets(*mask.causal_offsets, problem);
  return absl::OkStatus();
}

absl::Status CheckKeyLengths(const std::vector<std::int64_t>& lengths, std::int64_t batch, std::int64_t keys) {
  constexpr absl::string_view kField = "problem.mask.key_lengths.lengths";
  if (static_cast<std::int64_t>(lengths.size()) != batch) {
    return Invalid(kField, ": ", lengths.size(), " lengths found, one for each of ", batch, " batch entries expected");
  }
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] < 0 || lengths[i] > keys) {
      return Invalid(kField, "[", i, "]: ", lengths[i], " found, 0 to ", keys, " (the number of keys) expected");
    }
  }
  return absl::OkStatus();
}

// Broadcasts `mask` from the right to `weights`, the shape that it masks.
absl::StatusOr<MaskStrides> CheckBooleanMask(const TensorDescription& mask, const Shape& weights,
                                             std::optional<std::int64_t> found_size_bytes) {
  if (mask.element_type != ElementType::kBool) {
    return Invalid(kBoolean, ".element_type: ", ElementTypeName(mask.element_type), " found, bool expected");
  }
  const std::size_t rank = mask.shape.size();
  if (rank > weights.size()) {
    return Invalid(kBoolean, ".shape: rank ", rank, " found, at most ", weights.size(), ", that of the weights ",
                   ToString(weights), ", expected");
  }
  if (absl::Status status = CheckSize(mask, kBoolean, "mask_data", found_size_bytes.value_or(0)); !status.ok()) {
    return status;
  }
  // Strides by distance from the right: key, query, then head (or batch, at rank 3), then batch.
  std::array<std::int64_t, 4> strides{};
  std::int64_t stride = 1;
  for (std::size_t i = 1; i <= rank; ++i) {
    const std::int64_t found = mask.shape[rank - i];
    const std::int64_t wanted = weights[weights.size() - i];
    if (found != 1 && found != wanted) {
      return Invalid(kBoolean, ".shape: ", ToString(mask.shape), " found, which does not broadcast to the weights' ",
                     ToString(weights), ": dimension ", rank - i, " is ", found, ", 1 or ", wanted, " expected");
    }
    strides[i - 1] = found == 1 ? 0 : stride;
    stride *= found;
  }
  if (weights.size() == 3) return MaskStrides{.batch = strides[2], .query = strides[1], .key = strides[0]};
  return MaskStrides{.batch = strides[3], .head = strides[2], .query = strides[1], .key = strides[0]};
}

absl::Status FillMask(const ProblemDescription& d, const Shape& weights_shape, Problem& problem) {
  if (absl::Status status = FillCausal(d.mask, problem); !status.ok()) return status;
  if (d.mask.key_lengths.has_value()) {
    if (absl::Status status = CheckKeyLengths(*d.mask.key_lengths, problem.batch, problem.keys); !status.ok()) {
      return status;
    }
    problem.key_lengths = *d.mask.key_lengths;
  }
  if (!d.mask.boolean.has_value()) {
    if (!d.mask_size_bytes.has_value()) return absl::OkStatus();
    return Invalid("mask_data: ", *d.mask_size_bytes, " bytes found, none expected without problem.mask.boolean");
  }
  absl::StatusOr<MaskStrides> strides = CheckBooleanMask(*d.mask.boolean, weights_shape, d.mask_size_bytes);
  if (!strides.ok()) return strides.status();
  problem.boolean_mask = *strides;
  return absl::OkStatus();
}

// The shape of the weights: the query's, heads before sequence, with the keys as last dimension.
Shape WeightsShape(const Problem& problem, std::size_t rank) {
  switch (rank) {
    case 2:
      return {problem.query_rows, problem.keys};
    case 3:
      return {problem.batch, problem.query_rows, problem.keys};
    default:
      return {problem.batch, problem.query_heads, problem.query_rows, problem.keys};
  }
}

absl::Status FillAnswer(const ProblemDescription& d, const Shape& weights_shape, const Limits& limits,
                        Problem& problem) {
  problem.output = d.query;
  problem.output.shape.back() = problem.value_head_size;
  absl::StatusOr<std::int64_t> size_bytes = SizeBytes(problem.output, "result.output");
  if (!size_bytes.ok()) return size_bytes.status();
  problem.output_size_bytes = *size_bytes;
  problem.output_strides = StridesOf(DimensionsOf(problem.output.shape, d.layout), d.layout);
  std::int64_t total = *size_bytes;
  const auto add = [&](TensorDescription tensor, absl::string_view field, std::optional<TensorDescription>& description,
                       std::int64_t& tensor_size_bytes) {
    const absl::StatusOr<std::int64_t> bytes = SizeBytes(tensor, field);
    if (!bytes.ok()) return bytes.status();
    tensor_size_bytes = *bytes;
    description = std::move(tensor);
    if (__builtin_add_overflow(total, *bytes, &total)) total = INT64_MAX;
    return absl::OkStatus();
  };
  if (d.return_weights) {
    if (absl::Status status =
            add({ElementType::kFloat32, weights_shape}, "result.weights", problem.weights, problem.weights_size_bytes);
        !status.ok()) {
      return status;
    }
  }
  if (d.return_log_sum_exp) {
    Shape shape(weights_shape.begin(), weights_shape.end() - 1);
    if (absl::Status status = add({ElementType::kFloat32, shape}, "result.log_sum_exp", problem.log_sum_exp,
                                  problem.log_sum_exp_size_bytes);
        !status.ok()) {
      return status;
    }
  }
  if (total > limits.max_answer_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("result: the answer's tensors take ", total, " bytes, at most ",
                                                     limits.max_answer_bytes, " (limits.max_message_bytes) expected"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Problem> CheckProblem(const ProblemDescription& description, const Limits& limits) {
  const ProblemDescription& d = description;
  if (absl::Status status = CheckQuery(d); !status.ok()) return status;
  if (absl::Status status = CheckKeyAndValue(d); !status.ok()) return status;
  const Dimensions query = DimensionsOf(d.query.shape, d.layout);
  const Dimensions key = DimensionsOf(d.key.shape, d.layout);
  const Dimensions value = DimensionsOf(d.value.shape, d.layout);
  if (absl::Status status = CheckDimensions(query, key, value); !status.ok()) return status;
  const absl::StatusOr<float> scale = CheckScale(d.scale, query.size);
  if (!scale.ok()) return scale.status();

  Problem problem;
  problem.element_type = d.query.element_type;
  problem.batch = query.batch;
  problem.query_heads = query.heads;
  problem.key_value_heads = key.heads;
  problem.query_rows = query.rows;
  problem.keys = key.rows;
  problem.head_size = query.size;
  problem.value_head_size = value.size;
  problem.scale = *scale;
  problem.query_strides = StridesOf(query, d.layout);
  problem.key_strides = StridesOf(key, d.layout);
  problem.value_strides = StridesOf(value, d.layout);
  problem.empty_row = d.empty_row;
  const Shape weights_shape = WeightsShape(problem, d.query.shape.size());
  if (absl::Status status = FillMask(d, weights_shape, problem); !status.ok()) return status;
  if (absl::Status status = FillAnswer(d, weights_shape, limits, problem); !status.ok()) return status;
  return problem;
}

}  // namespace attnd::core

#include <cmath>
#include <limits>

#include "core/problem_parts.h"

namespace attnd::core {
namespace {

absl::Status FillBias(const ProblemDescription& d, Problem& problem) {
  constexpr absl::string_view kField = "problem.bias.tensor";
  const std::int64_t size_bytes = d.size_bytes[Input::kBias];
  if (!d.modifiers.bias.has_value()) return CheckNoData("bias_data", size_bytes, "problem.bias");
  const TensorDescription& bias = *d.modifiers.bias;
  if (bias.element_type != ElementType::kFloat32 && bias.element_type != problem.element_type) {
    return Invalid(kField, ".element_type: ", ElementTypeName(bias.element_type), " found, float32 or the query's ",
                   ElementTypeName(problem.element_type), " expected");
  }
  if (absl::Status status = CheckSize(bias, kField, "bias_data", size_bytes); !status.ok()) return status;
  const absl::StatusOr<BroadcastStrides> strides =
      Broadcast(bias, kField, MaskShape(d, problem, problem.query_rows, problem.keys), "the weights", true);
  if (!strides.ok()) return strides.status();
  problem.bias = Bias{.element_type = bias.element_type, .strides = *strides};
  return absl::OkStatus();
}

absl::Status CheckPerHead(absl::string_view field, absl::string_view noun, const std::vector<float>& numbers,
                          bool may_be_minus_infinity, const Problem& problem) {
  if (static_cast<std::int64_t>(numbers.size()) != problem.query_heads) {
    return Invalid(field, ": ", numbers.size(), " ", noun, " found, one for each of ", problem.query_heads,
                   " query heads expected");
  }
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const bool is_absent = may_be_minus_infinity && numbers[i] == -std::numeric_limits<float>::infinity();
    if (!std::isfinite(numbers[i]) && !is_absent) {
      return Invalid(field, "[", i, "]: ", numbers[i], " found, a finite number ",
                     may_be_minus_infinity ? "or -inf " : "", "expected");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FillModifiers(const ProblemDescription& description, Problem& problem) {
  const ModifierOptions& modifiers = description.modifiers;
  if (absl::Status status = FillBias(description, problem); !status.ok()) return status;
  problem.bias_place = modifiers.bias_place;
  if (modifiers.alibi_slopes.has_value()) {
    if (absl::Status status = CheckPerHead("problem.alibi.slopes", "slopes", *modifiers.alibi_slopes, false, problem);
        !status.ok()) {
      return status;
    }
    problem.alibi_slopes = *modifiers.alibi_slopes;
  }
  if (modifiers.soft_cap.has_value()) {
    // Beyond these it is no float32 of its own: 0, or an infinity.
    constexpr double kLeast = std::numeric_limits<float>::min();
    constexpr double kMost = std::numeric_limits<float>::max();
    if (!(*modifiers.soft_cap >= kLeast && *modifiers.soft_cap <= kMost)) {
      return Invalid("problem.soft_cap: ", *modifiers.soft_cap, " found, a finite number greater than 0 expected (",
                     kLeast, " to ", kMost, ")");
    }
    problem.soft_cap = static_cast<float>(*modifiers.soft_cap);
  }
  if (!modifiers.sinks.empty()) {
    if (absl::Status status = CheckPerHead("problem.sinks", "sinks", modifiers.sinks, true, problem); !status.ok()) {
      return status;
    }
    problem.sinks = modifiers.sinks;
  }
  return absl::OkStatus();
}

}  // namespace attnd::core

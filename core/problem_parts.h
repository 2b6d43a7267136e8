// The parts of CheckProblem, in the order in which they run. Each fills what it has found good into the problem, and
// returns what is wrong as CheckProblem does. For problem.cpp alone.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <vector>

#include "core/checks.h"
#include "core/problem.h"

namespace attnd::core {

// Whether nothing came for a tensor that is not described.
absl::Status CheckNoData(absl::string_view data_field, std::int64_t found_size_bytes, absl::string_view missing_field);

// Whether there is one number for each batch entry.
absl::Status CheckCount(absl::string_view field, absl::string_view noun, std::size_t found, const Problem& problem);

// Broadcasts a tensor, of which CheckSize has found that its bytes fit, from the right to [B, H, Sq, Sk] or, where the
// query has fewer dimensions, to what is left of it: `target`. The last dimension may be narrower where
// `may_be_narrower`.
absl::StatusOr<BroadcastStrides> Broadcast(const TensorDescription& tensor, absl::string_view field,
                                           const Shape& target, absl::string_view target_name, bool may_be_narrower);

// The shape that masks and biases broadcast to: that of the padded batch's weights, without the dimensions that the
// query does not have. `rows` and `keys` stand for Sq and Sk.
Shape MaskShape(const ProblemDescription& description, const Problem& problem, std::int64_t rows, std::int64_t keys);

// problem_masks.cpp: mask and positions.
absl::Status FillMasks(const ProblemDescription& description, Problem& problem);

// problem_modifiers.cpp: bias, ALiBi, soft cap and sinks.
absl::Status FillModifiers(const ProblemDescription& description, Problem& problem);

// problem_answer.cpp: summaries, the tensors of the answer and their size.
absl::Status FillAnswer(const ProblemDescription& description, const Limits& limits, Problem& problem);

}  // namespace attnd::core

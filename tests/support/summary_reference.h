// The definitions of the summaries, plain enough to be read as such: from the whole matrix of weights, in float64.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensors.h"
#include "tests/support/attention_case.h"

namespace attnd::test {

// In the shapes of attention.proto's Summaries; empty where not asked for.
using SummaryAnswer = core::PerOutput<std::vector<double>>;

// What the case's summaries say of these weights, which are those of all rows, in the shape of an answer's weights.
SummaryAnswer SummariesOf(const AttentionCase& attention, const std::vector<double>& weights);

// The covered rows, heads and batch entries; and of how many keys a row of the matrix is.
std::vector<std::int64_t> CoveredEntries(const AttentionCase& attention);
std::vector<std::int64_t> CoveredHeads(const AttentionCase& attention);
// Those of a batch entry, counted from its first.
std::vector<std::int64_t> CoveredRows(const AttentionCase& attention, std::int64_t b);

// The combined weights of one row, and whether any head that is combined sees the key: what top_keys chooses from.
// Where heads are not reduced, `heads` is one.
struct CombinedRow {
  std::vector<double> weights;
  std::vector<bool> seen;
};
CombinedRow CombineHeads(const AttentionCase& attention, const std::vector<double>& weights, std::int64_t b,
                         const std::vector<std::int64_t>& heads, std::int64_t i);

}  // namespace attnd::test

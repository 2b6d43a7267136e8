// How far summaries may be from their definitions.
#pragma once

#include "core/summaries.h"
#include "tests/support/attention_case.h"
#include "tests/support/engine_call.h"

namespace attnd::test {

// All of them at once, of everything.
core::SummaryOptions EverySummary();

// Each with a probability of a half, of some or all entries, heads and rows.
core::SummaryOptions RandomSummaries(const AttentionCase& attention, Random& random);

// Holds what a call answered against the definitions, taken from the weights that it answered too. The keys and weights
// of the largest weights, and maxima, are those; sums may differ by what 256 numbers of one sign do in float32, which
// is 2⁻¹⁶ of them, and by as much as a sum over heads; scores by D·2⁻²⁴·Σ|q·k|·|scale| and a few roundings of what is
// added and capped.
void ExpectSummariesOfOwnWeights(const AttentionCase& attention, const EngineCall& call);

// The same from the weights of the definition in float64, which the bound on weights keeps those of the call near to:
// of a sum of n weights, n times the bound.
void ExpectSummariesOfDefinition(const AttentionCase& attention, const EngineCall& call);

}  // namespace attnd::test

// Problems at random in which any of the masks and modifiers meet.
#pragma once

#include "tests/support/attention_case.h"

namespace attnd::test {

// Each option with a probability of a third; of lengths up to a few tiles. `ragged` decides about the batch.
AttentionCase RandomCombination(core::ElementType type, bool ragged, Random& random);

// Puts NaN into every key and value that no row sees, and into every query row that is padding or sees no key.
void HideNonFinite(AttentionCase& attention);

}  // namespace attnd::test

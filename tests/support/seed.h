// Where the tests' random numbers begin: the same in every run, unless ATTND_TEST_SEED says otherwise. Each program
// prints it.
#pragma once

#include "tests/support/attention_case.h"

namespace attnd::test {

Random SeededRandom();

}  // namespace attnd::test

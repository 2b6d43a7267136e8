// Damage to messages, at random.
#pragma once

#include <random>
#include <string>

namespace attnd::test {

// Changes, removes or inserts some bytes where it hurts.
void Mutate(std::string& message, std::mt19937_64& random);

}  // namespace attnd::test

// Runs the numeric tests on the vector instruction set that ATTND_TEST_VECTOR_TARGET names, by Highway's names, instead
// of the best one that the machine has. (ONEDNN_MAX_CPU_ISA does the same for oneDNN.) With --list_instruction_sets it
// prints what it can be run on, for instruction_sets_test.py.
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "core/machine.h"

namespace {

// False where this program has no code for the target.
bool UseVectorTarget(std::int64_t target) {
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return attnd::core::VectorInstructionSet() == hwy::TargetName(target);
}

// The targets that the machine has and this program has code for, the oldest first.
std::vector<std::int64_t> VectorTargets() {
  std::vector<std::int64_t> usable;
  // Highway's better targets are the lower bits.
  for (std::int64_t targets = hwy::SupportedTargets(); targets != 0; targets &= targets - 1) {
    const std::int64_t target = targets & -targets;
    if (UseVectorTarget(target)) usable.insert(usable.begin(), target);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return usable;
}

bool UseVectorTarget(std::string_view name) {
  for (const std::int64_t target : VectorTargets()) {
    if (hwy::TargetName(target) == name) return UseVectorTarget(target);
  }
  return false;
}

void ListInstructionSets() {
  std::printf("oneDNN: %s\nHighway:", attnd::core::OnednnInstructionSet().c_str());
  for (const std::int64_t target : VectorTargets()) std::printf(" %s", hwy::TargetName(target));
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc == 2 && std::string_view(argv[1]) == "--list_instruction_sets") {
    ListInstructionSets();
    return 0;
  }
  if (const char* name = std::getenv("ATTND_TEST_VECTOR_TARGET"); name != nullptr && !UseVectorTarget(name)) {
    std::fprintf(stderr, "ATTND_TEST_VECTOR_TARGET: found '%s', expected one that --list_instruction_sets names\n",
                 name);
    return 2;
  }
  std::printf("oneDNN %s on %s, Highway on %s\n", attnd::core::OnednnVersion().c_str(),
              attnd::core::OnednnInstructionSet().c_str(), attnd::core::VectorInstructionSet().c_str());
  return RUN_ALL_TESTS();
}

// Runs the numeric tests on the vector instruction set that ATTND_TEST_VECTOR_TARGET names, by Highway's names, instead
// of the best one that the machine has. (ONEDNN_MAX_CPU_ISA does the same for oneDNN.)
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "core/machine.h"

namespace {

// False where the machine has no such target, or this program no code for it.
bool UseVectorTarget(std::string_view name) {
  for (std::int64_t targets = hwy::SupportedTargets(); targets != 0; targets &= targets - 1) {
    const std::int64_t target = targets & -targets;
    if (hwy::TargetName(target) != name) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    return attnd::core::VectorInstructionSet() == name;
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (const char* name = std::getenv("ATTND_TEST_VECTOR_TARGET"); name != nullptr && !UseVectorTarget(name)) {
    std::fprintf(stderr, "this machine cannot run %s\n", name);
    return 2;
  }
  std::printf("oneDNN %s on %s, Highway on %s\n", attnd::core::OnednnVersion().c_str(),
              attnd::core::OnednnInstructionSet().c_str(), attnd::core::VectorInstructionSet().c_str());
  return RUN_ALL_TESTS();
}

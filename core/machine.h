// What this process runs on.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace attnd::core {

// CPUs that this process may use: the smaller of its affinity mask and its control group's quota (versions 1 and 2),
// rounded up, and at least 1.
int AvailableCpus();

// The quota of this process's control group in CPUs, rounded up, or nothing where there is none. `root` is put before
// /proc and /sys.
std::optional<int> QuotaCpus(const std::string& root);

// Instruction sets that this machine has and that matter to the kernels, in ascending order: "sse4_1", "avx2",
// "avx512_core", …
std::vector<std::string> InstructionSetsFound();

// What oneDNN uses, for example "avx512_core_amx".
std::string OnednnInstructionSet();
// oneDNN's version, for example "3.7.2".
std::string OnednnVersion();

// What the exponentials and reductions use, by Highway's name, for example "AVX3_ZEN4".
std::string VectorInstructionSet();

}  // namespace attnd::core

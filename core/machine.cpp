#include "core/machine.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <oneapi/dnnl/dnnl.hpp>
#include <sstream>
#include <thread>
#include <utility>

#include "core/control_groups.h"
#include "core/kernels/softmax.h"

namespace attnd::core {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// "QUOTA PERIOD" in microseconds; a quota of "max", or below 0, is none.
std::optional<double> ParseQuota(const std::string& text) {
  const std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  double quota = 0;
  double period = 0;
  if (words.size() != 2 || !absl::SimpleAtod(words[0], &quota) || !absl::SimpleAtod(words[1], &period))
    return std::nullopt;
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

std::optional<double> QuotaIn(const ControlGroupFolder& folder) {
  if (folder.is_unified) return ParseQuota(ReadFile(absl::StrCat(folder.path, "/cpu.max")));
  return ParseQuota(absl::StrCat(ReadFile(absl::StrCat(folder.path, "/cpu.cfs_quota_us")), " ",
                                 ReadFile(absl::StrCat(folder.path, "/cpu.cfs_period_us"))));
}

std::optional<int> AffinityCpus() {
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) return std::nullopt;
  return CPU_COUNT(&cpus);
}

}  // namespace

std::optional<int> QuotaCpus(const std::string& root) {
  std::optional<double> smallest;
  for (const ControlGroupFolder& folder : ControlGroupFolders(root, "cpu")) {
    const std::optional<double> quota = QuotaIn(folder);
    if (quota.has_value()) smallest = std::min(smallest.value_or(*quota), *quota);
  }
  if (!smallest.has_value()) return std::nullopt;
  return static_cast<int>(std::ceil(*smallest));
}

int AvailableCpus() {
  int cpus = AffinityCpus().value_or(static_cast<int>(std::thread::hardware_concurrency()));
  if (const std::optional<int> quota = QuotaCpus(""); quota.has_value()) cpus = std::min(cpus, *quota);
  return std::max(cpus, 1);
}

std::vector<std::string> InstructionSetsFound() {
  std::vector<std::string> found;
  const auto add = [&](bool has, const char* name) {
    if (has) found.emplace_back(name);
  };
#if defined(__x86_64__)
  add(__builtin_cpu_supports("sse4.1") != 0, "sse4_1");
  add(__builtin_cpu_supports("avx2") != 0, "avx2");
  // What oneDNN calls avx512_core.
  add(__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
          __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0,
      "avx512_core");
  add(__builtin_cpu_supports("avx512bf16") != 0, "avx512_bf16");
  add(__builtin_cpu_supports("avx512fp16") != 0, "avx512_fp16");
  add(__builtin_cpu_supports("amx-bf16") != 0, "amx_bf16");
  add(__builtin_cpu_supports("amx-fp16") != 0, "amx_fp16");
#elif defined(__aarch64__)
  add(true, "neon");
#endif
  return found;
}

std::string OnednnInstructionSet() {
  using dnnl::cpu_isa;
  static constexpr std::pair<cpu_isa, const char*> kNames[] = {
      {cpu_isa::sse41, "sse41"},
      {cpu_isa::avx, "avx"},
      {cpu_isa::avx2, "avx2"},
      {cpu_isa::avx2_vnni, "avx2_vnni"},
      {cpu_isa::avx2_vnni_2, "avx2_vnni_2"},
      {cpu_isa::avx512_core, "avx512_core"},
      {cpu_isa::avx512_core_vnni, "avx512_core_vnni"},
      {cpu_isa::avx512_core_bf16, "avx512_core_bf16"},
      {cpu_isa::avx512_core_fp16, "avx512_core_fp16"},
      {cpu_isa::avx512_core_amx, "avx512_core_amx"},
      {cpu_isa::avx512_core_amx_fp16, "avx512_core_amx_fp16"},
  };
  const cpu_isa isa = dnnl::get_effective_cpu_isa();
  for (const auto& [value, name] : kNames) {
    if (value == isa) return name;
  }
  return "default";
}

std::string OnednnVersion() {
  const dnnl_version_t* version = dnnl_version();
  return absl::StrCat(version->major, ".", version->minor, ".", version->patch);
}

std::string VectorInstructionSet() { return kernels::VectorInstructionSetName(); }

}  // namespace attnd::core

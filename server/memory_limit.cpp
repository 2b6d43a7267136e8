#include "server/memory_limit.h"

#include <absl/strings/numbers.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "core/control_groups.h"

namespace attnd::server {
namespace {

// Nothing where there is no such file or it holds no number, as "max" in version 2.
std::optional<std::int64_t> ReadBytes(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  std::int64_t bytes = 0;
  if (!(file >> text) || !absl::SimpleAtoi(text, &bytes) || bytes <= 0) return std::nullopt;
  return bytes;
}

std::int64_t MachineBytes(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  std::string name;
  std::string unit;
  std::int64_t kibibytes = 0;
  while (file >> name >> kibibytes && std::getline(file, unit)) {
    if (name == "MemTotal:") return kibibytes * 1024;
  }
  return INT64_MAX;
}

}  // namespace

std::int64_t AvailableMemoryBytes(const std::string& root) {
  std::int64_t bytes = MachineBytes(root);
  for (const core::ControlGroupFolder& folder : core::ControlGroupFolders(root, "memory")) {
    const char* file = folder.is_unified ? "/memory.max" : "/memory.limit_in_bytes";
    bytes = std::min(bytes, ReadBytes(folder.path + file).value_or(INT64_MAX));
  }
  return bytes;
}

}  // namespace attnd::server

#include "server/memory_limit.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

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

// The smallest limit among `group` and its parents, whose files are named `file` below `mount`.
std::int64_t GroupBytes(const std::string& mount, absl::string_view group, absl::string_view file) {
  std::int64_t smallest = INT64_MAX;
  while (true) {
    smallest = std::min(smallest, ReadBytes(absl::StrCat(mount, group, "/", file)).value_or(INT64_MAX));
    const std::size_t slash = group.rfind('/');
    if (slash == absl::string_view::npos) return smallest;
    group = group.substr(0, slash);
  }
}

}  // namespace

std::int64_t AvailableMemoryBytes(const std::string& root) {
  std::int64_t bytes = MachineBytes(root);
  std::ifstream groups(root + "/proc/self/cgroup");
  // Each line is "number:controllers:path"; version 2 has no controllers there.
  for (std::string line; std::getline(groups, line);) {
    const std::vector<absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const std::vector<absl::string_view> controllers = absl::StrSplit(parts[1], ',');
    if (parts[1].empty()) {
      bytes = std::min(bytes, GroupBytes(root + "/sys/fs/cgroup", parts[2], "memory.max"));
    } else if (std::find(controllers.begin(), controllers.end(), "memory") != controllers.end()) {
      bytes = std::min(bytes, GroupBytes(root + "/sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes"));
    }
  }
  return bytes;
}

}  // namespace attnd::server

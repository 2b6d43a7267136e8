#include "core/control_groups.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <fstream>

namespace attnd::core {

// Each line of /proc/self/cgroup is "ID:CONTROLLERS:/GROUP"; version 2 has ID 0 and no controllers.
std::vector<ControlGroupFolder> ControlGroupFolders(const std::string& root, std::string_view controller) {
  const std::string wanted(controller);
  std::vector<ControlGroupFolder> folders;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || !absl::StartsWith(parts[2], "/")) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    const bool is_unified = parts[1].empty();
    if (!is_unified && std::find(controllers.begin(), controllers.end(), wanted) == controllers.end()) continue;
    const std::string mount = absl::StrCat(root, "/sys/fs/cgroup", is_unified ? "" : "/" + wanted);
    for (std::string group = parts[2] == "/" ? "" : parts[2];; group.resize(group.find_last_of('/'))) {
      folders.push_back({.path = mount + group, .is_unified = is_unified});
      if (group.empty()) break;
    }
  }
  return folders;
}

}  // namespace attnd::core

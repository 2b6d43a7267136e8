// The control groups (Linux' cgroups, versions 1 and 2) that this process is in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace attnd::core {

// A folder whose files may limit this process.
struct ControlGroupFolder {
  std::string path;
  bool is_unified = false;  // version 2
};

// The folders of this process's groups that `controller` ("cpu", "memory") may limit it by, from each group up to the
// root of its tree, since each bounds all below it. `root` is put before /proc and /sys.
std::vector<ControlGroupFolder> ControlGroupFolders(const std::string& root, std::string_view controller);

}  // namespace attnd::core

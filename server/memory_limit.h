#pragma once

#include <cstdint>
#include <string>

namespace attnd::server {

// Bytes of memory that this process may use: the smaller of the machine's and of what its control group (versions 1 and
// 2) and that group's parents allow. `root` is put before /proc and /sys, so that tests can stage them.
std::int64_t AvailableMemoryBytes(const std::string& root = "");

}  // namespace attnd::server

// Memory of this process, as the kernel counts it.
#pragma once

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>

namespace attnd::bench {

// A field of /proc/self/status (proc(5)): "VmRSS:", what is resident, or "VmHWM:", the most that was.
inline std::int64_t StatusBytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::int64_t kibibytes = 0;
  for (std::string word; status >> word;) {
    if (word == field && status >> kibibytes) return kibibytes * 1024;
  }
  throw std::runtime_error("no " + field + " in /proc/self/status");
}

}  // namespace attnd::bench

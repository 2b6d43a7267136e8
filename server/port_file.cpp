#include "server/port_file.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

namespace attnd::server {

absl::Status WritePortFile(const std::string& path, const std::string& grpc_address,
                           const std::string& metrics_address) {
  const std::string unfinished = absl::StrCat(path, ".", getpid(), ".tmp");
  std::ofstream file(unfinished, std::ios::trunc);
  file << nlohmann::json{{"grpc", grpc_address}, {"metrics", metrics_address}}.dump() << '\n';
  file.close();
  if (file && std::rename(unfinished.c_str(), path.c_str()) == 0) return absl::OkStatus();
  const std::string reason = std::strerror(errno);
  static_cast<void>(std::remove(unfinished.c_str()));
  return absl::UnavailableError(absl::StrCat("--port-file: cannot write ", path, ": ", reason));
}

}  // namespace attnd::server

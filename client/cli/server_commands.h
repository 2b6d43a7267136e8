// `attnctl health` and `attnctl info`: what a server tells about itself.
#pragma once

#include <string>

namespace attnd::cli {

struct HealthOptions {
  std::string server;
  // How long to go on asking until the server is SERVING; 0: ask once.
  double wait_seconds = 0;
};

struct InfoOptions {
  std::string server;
  double timeout_seconds = 10;
  bool json = false;
};

// Both return an ExitCode. Health is kOk where SERVING, kCheckFailed where a server answered something else.
int RunHealth(const HealthOptions& options);
int RunInfo(const InfoOptions& options);

}  // namespace attnd::cli

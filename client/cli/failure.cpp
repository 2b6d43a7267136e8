#include "client/cli/failure.h"

#include <cstdio>

#include "client/cli/text.h"

namespace attnd::cli {

ExitCode FailInput(const absl::Status& status) {
  std::fprintf(stderr, "attnctl: %s\n", Printable(std::string(status.message())).c_str());
  return kBadInput;
}

ExitCode FailCall(const std::string& server, const absl::Status& status) {
  std::fprintf(stderr, "attnctl: server %s: %s\n", Printable(server).c_str(), Printable(status.ToString()).c_str());
  return kCallFailed;
}

}  // namespace attnd::cli

// What attnctl's exit status says. `attnctl --help` tells the same.
#pragma once

namespace attnd::cli {

enum ExitCode : int {
  kOk = 0,
  kCheckFailed = 1,  // it was done, but what came is not what was expected
  kBadInput = 2,     // the command line or a file
  kCallFailed = 3,   // the server could not be reached, or refused
};

}  // namespace attnd::cli

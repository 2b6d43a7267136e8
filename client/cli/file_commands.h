// `attnctl list` and `attnctl show`: what is in a file, without a server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/cli/heat_map.h"

namespace attnd::cli {

struct ListOptions {
  std::string input;
  bool json = false;
};

struct ShowOptions {
  std::string input;
  std::string weights = "weights";
  std::int64_t batch = 0;
  std::int64_t head = 0;
  std::string tokens_metadata = "tokens";
  std::string key_lengths = "key_lengths";
  // Empty: what stdout is.
  std::optional<Color> color;
  std::optional<int> width;
};

// Both return an ExitCode.
int RunList(const ListOptions& options);
int RunShow(const ShowOptions& options);

}  // namespace attnd::cli

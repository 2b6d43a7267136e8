// `attnctl list` and `attnctl show`: what is in a file, without a server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/cli/attention_file.h"
#include "client/cli/terminal_color.h"
#include "client/cli/tokens.h"

namespace attnd::cli {

struct ListOptions {
  std::string input;
  bool json = false;
};

struct ShowOptions {
  std::string input;
  // Empty: the first that the file has of weights, pooled and top; on the page all of them.
  std::optional<Kind> kind;
  AttentionNames names;
  // Empty: the first one.
  std::optional<std::int64_t> layer;
  std::int64_t batch = 0;
  std::int64_t head = 0;
  TokenSources tokens = {.metadata = "tokens", .file = {}, .key_file = {}};
  std::string key_lengths = "key_lengths";
  // Files to write instead of drawing in the terminal.
  std::string png;
  bool all_heads = false;  // in the PNG
  std::string html;
  // Empty: what stdout is.
  std::optional<Color> color;
  std::optional<int> width;
};

// Both return an ExitCode.
int RunList(const ListOptions& options);
int RunShow(const ShowOptions& options);

}  // namespace attnd::cli

#include <absl/strings/str_format.h>

#include <cstdio>

#include "client/cli/attention_head.h"
#include "client/cli/exit_code.h"
#include "client/cli/failure.h"
#include "client/cli/file_commands.h"
#include "client/cli/inputs.h"
#include "client/cli/terminal.h"
#include "client/cli/text.h"

namespace attnd::cli {
int RunShow(const ShowOptions& options) {
  auto inputs = Inputs::Open(options.input);
  if (!inputs.ok()) return FailInput(inputs.status());
  const auto head = SelectHead(*inputs, {.weights = options.weights,
                                         .batch = options.batch,
                                         .head = options.head,
                                         .tokens_metadata = options.tokens_metadata,
                                         .key_lengths = options.key_lengths});
  if (!head.ok()) return FailInput(head.status());
  const HeatMapStyle style{.width = options.width ? *options.width : TerminalWidth(),
                           .color = options.color ? *options.color : TerminalColor()};
  const std::string title =
      absl::StrFormat("%s, batch %d, head %d: each row is a query, each column a key that it attends to\n\n",
                      Printable(options.weights), options.batch, options.head);
  std::fputs((title + DrawHeatMap(*head, style)).c_str(), stdout);
  return kOk;
}

}  // namespace attnd::cli

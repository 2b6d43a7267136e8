// The command line of `attnctl attend`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace attnd::cli {

// Adds the subcommand. Where the command line has it, `run` becomes what is to be done, with `server` as it then is.
void AddAttend(CLI::App& app, const std::string& server, std::function<int()>& run);

}  // namespace attnd::cli

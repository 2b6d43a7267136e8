// What stdout can show.
#pragma once

#include "client/cli/terminal_color.h"

namespace attnd::cli {

// None where stdout is no terminal, NO_COLOR is set and not empty, or TERM does not tell of colours; else what
// COLORTERM and TERM tell.
Color TerminalColor();

// Columns of the terminal; where stdout is none, those of COLUMNS, or 100.
int TerminalWidth();

}  // namespace attnd::cli

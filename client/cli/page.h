// One self-contained HTML page of all heads.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "client/cli/attention_layer.h"

namespace attnd::cli {

struct PageSource {
  std::string title;
  std::int64_t batch = 0;
  // Of each kind its layers, at least one.
  std::vector<std::vector<AttentionLayer>> kinds;
};

// The page's pieces, one after the other. Weights are coded in 16 bits as long as that makes a page of moderate size,
// else in 8, which the page says; each head is deflated, so that the page inflates what it draws. INVALID_ARGUMENT
// where the layers of a kind are of different shapes, or there is nothing to show.
absl::StatusOr<std::vector<std::string>> MakePage(const PageSource& source);

// JSON in which nothing can end a script element.
std::string ForScriptElement(std::string json);

}  // namespace attnd::cli

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "client/cli/exit_code.h"
#include "client/cli/failure.h"
#include "client/cli/file_commands.h"
#include "client/cli/inputs.h"
#include "client/cli/text.h"

namespace attnd::cli {
namespace {

constexpr int kMetadataWidth = 100;

std::string AsJson(const Inputs& inputs) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::object();
  for (const auto& [name, array] : inputs.tensors()) {
    tensors[name] = {{"element_type", std::string(DataTypeName(array.type))}, {"shape", array.shape}};
  }
  const nlohmann::ordered_json json = {{"tensors", tensors}, {"metadata", inputs.metadata()}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void Print(const Inputs& inputs) {
  int name_width = 0;
  for (const auto& [name, array] : inputs.tensors()) name_width = std::max(name_width, Width(name));
  for (const auto& [name, array] : inputs.tensors()) {
    std::printf("%s%*s  %-8s  %s\n", Printable(name).c_str(), name_width - Width(name), "",
                std::string(DataTypeName(array.type)).c_str(), ToString(array.shape).c_str());
  }
  if (inputs.metadata().empty()) return;
  std::puts("metadata");
  for (const auto& [key, text] : inputs.metadata()) {
    std::printf("  %s: %s\n", Printable(key).c_str(), Fit(text, kMetadataWidth).c_str());
  }
}

}  // namespace

int RunList(const ListOptions& options) {
  const auto inputs = Inputs::Open(options.input);
  if (!inputs.ok()) return FailInput(inputs.status());
  if (options.json) {
    std::puts(AsJson(*inputs).c_str());
  } else {
    Print(*inputs);
  }
  return kOk;
}

}  // namespace attnd::cli

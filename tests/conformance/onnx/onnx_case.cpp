#include "tests/conformance/onnx/onnx_case.h"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "client/cli/safetensors.h"

namespace attnd::test {
namespace {

template <typename T>
T ValueOrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}

std::map<std::string, cli::Array> ArraysByName(const nlohmann::json& names, const cli::Safetensors& file) {
  std::map<std::string, cli::Array> arrays;
  for (const auto& [name, tensor] : names.items()) arrays[name] = file.tensors.at(tensor.get<std::string>());
  return arrays;
}

}  // namespace

std::optional<double> OnnxCase::Attribute(const std::string& attribute) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? std::nullopt : std::optional(found->second);
}

const cli::Array* OnnxCase::Input(const std::string& input) const {
  const auto found = inputs.find(input);
  return found == inputs.end() ? nullptr : &found->second;
}

OnnxCases LoadOnnxCases() {
  OnnxCases loaded{ValueOrThrow(cli::MappedFile::Open(ATTND_ONNX_VECTORS)), {}};
  const cli::Safetensors content = ValueOrThrow(cli::ParseSafetensors(loaded.file.bytes()));
  for (const nlohmann::json& entry : nlohmann::json::parse(content.metadata.at("cases"))) {
    loaded.cases.push_back({.name = entry.at("name"),
                            .opset = entry.at("opset"),
                            .rtol = entry.at("rtol"),
                            .atol = entry.at("atol"),
                            .attributes = entry.at("attributes"),
                            .inputs = ArraysByName(entry.at("inputs"), content),
                            .outputs = ArraysByName(entry.at("outputs"), content)});
  }
  return loaded;
}

}  // namespace attnd::test

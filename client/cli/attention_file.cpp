#include "client/cli/attention_file.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <string_view>

namespace attnd::cli {
namespace {

constexpr char kWeights[] = "weights";
constexpr char kPooledMap[] = "pooled_map";
constexpr char kTopKeys[] = "top_keys";
constexpr char kTopWeights[] = "top_weights";

// A name around the number of a layer.
struct Pattern {
  std::string before;
  std::string after;

  std::string With(std::int64_t layer) const { return absl::StrCat(before, layer, after); }
};

std::optional<Pattern> ParsePattern(std::string_view name) {
  for (const std::string_view place : {"{layer}", "*"}) {
    const std::size_t at = name.find(place);
    if (at != std::string_view::npos) {
      return Pattern{std::string(name.substr(0, at)), std::string(name.substr(at + place.size()))};
    }
  }
  return std::nullopt;
}

// The number that stands in the pattern's place; as it would be written, so not with zeros before it.
std::optional<std::int64_t> LayerIn(std::string_view name, const Pattern& pattern) {
  if (name.size() <= pattern.before.size() + pattern.after.size()) return std::nullopt;
  if (!name.starts_with(pattern.before) || !name.ends_with(pattern.after)) return std::nullopt;
  name.remove_prefix(pattern.before.size());
  name.remove_suffix(pattern.after.size());
  std::int64_t layer = 0;
  std::from_chars(name.data(), name.data() + name.size(), layer);
  if (layer < 0 || name != std::to_string(layer)) return std::nullopt;
  return layer;
}

std::vector<LayerNames> LayersNamed(const Inputs& inputs, const std::string& name) {
  const auto pattern = ParsePattern(name);
  if (!pattern || inputs.tensors().contains(name) || IsNpy(name)) {
    return {{.number = std::nullopt, .tensor = name, .top_weights = {}}};
  }
  std::vector<LayerNames> layers;
  for (const auto& [tensor, array] : inputs.tensors()) {
    const auto layer = LayerIn(tensor, *pattern);
    if (layer) layers.push_back({.number = layer, .tensor = tensor, .top_weights = {}});
  }
  std::sort(layers.begin(), layers.end(),
            [](const LayerNames& left, const LayerNames& right) { return left.number < right.number; });
  return layers;
}

// Where no name was given.
std::vector<LayerNames> LayersUsuallyNamed(const Inputs& inputs, const std::string& name) {
  if (inputs.tensors().contains(name)) return LayersNamed(inputs, name);
  auto layers = LayersNamed(inputs, absl::StrCat("layer{layer}.", name));
  return layers.empty() ? LayersNamed(inputs, absl::StrCat("layers.{layer}.", name)) : layers;
}

// The tensor that lies beside a layer's top keys.
std::string TopWeightsOf(const LayerNames& layer, const std::string& name) {
  if (name.empty()) {
    std::string beside = layer.tensor;
    const std::size_t at = beside.rfind(kTopKeys);
    if (at == std::string::npos) return kTopWeights;
    return beside.replace(at, std::size(kTopKeys) - 1, kTopWeights);
  }
  const auto pattern = ParsePattern(name);
  return pattern && layer.number ? pattern->With(*layer.number) : name;
}

}  // namespace

std::string KindName(Kind kind) {
  switch (kind) {
    case Kind::kWeights:
      return "weights";
    case Kind::kPooled:
      return "pooled";
    case Kind::kTop:
      return "top";
  }
  return "unknown";
}

std::string UsualName(Kind kind) {
  return kind == Kind::kWeights ? kWeights : kind == Kind::kPooled ? kPooledMap : kTopKeys;
}

std::vector<LayerNames> FindLayers(const Inputs& inputs, Kind kind, const AttentionNames& names) {
  const std::string& name = names.Of(kind);
  std::vector<LayerNames> layers =
      name.empty() ? LayersUsuallyNamed(inputs, UsualName(kind)) : LayersNamed(inputs, name);
  if (kind != Kind::kTop) return layers;
  for (LayerNames& layer : layers) layer.top_weights = TopWeightsOf(layer, names.top_weights);
  return layers;
}

absl::StatusOr<LayerNames> SelectLayer(const std::vector<LayerNames>& layers, std::optional<std::int64_t> number) {
  if (!number && !layers.empty()) return layers.front();
  const auto found =
      std::find_if(layers.begin(), layers.end(), [&](const LayerNames& layer) { return layer.number == number; });
  if (found != layers.end()) return *found;
  const auto append_label = [](std::string* out, const LayerNames& layer) { out->append(layer.Label()); };
  return absl::NotFoundError(absl::StrCat("--layer is ", number.value_or(0), ", the file's layers are ",
                                          layers.empty() ? "none" : absl::StrJoin(layers, ", ", append_label)));
}

}  // namespace attnd::cli

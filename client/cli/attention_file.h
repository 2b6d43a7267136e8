// Which attention a file holds: of which kinds, and of which layers.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/inputs.h"

namespace attnd::cli {

enum class Kind : std::uint8_t {
  kWeights,  // all of them, [.., Sq, Sk]
  kPooled,   // a pooled map of them, [.., rows, columns]
  kTop,      // the keys of each query's largest, [.., Sq, k], and their weights
};

// "weights", "pooled" or "top".
std::string KindName(Kind kind);

// Names of tensors. "*" or "{layer}" in one stands for the number of a layer. Empty: weights, pooled_map and top_keys;
// where the file has not that, it after layer*. or layers.*.; and top_weights beside top_keys.
struct AttentionNames {
  std::string weights;
  std::string pooled_map;
  std::string top_keys;
  std::string top_weights;

  // Of the tensor that tells whether there is such a kind.
  const std::string& Of(Kind kind) const {
    return kind == Kind::kWeights ? weights : kind == Kind::kPooled ? pooled_map : top_keys;
  }
};

struct LayerNames {
  std::optional<std::int64_t> number;  // none where the file tells of no layers
  std::string tensor;
  std::string top_weights;  // of Kind::kTop only

  std::string Label() const { return number ? std::to_string(*number) : tensor; }
};

// "weights", "pooled_map" or "top_keys".
std::string UsualName(Kind kind);

// In ascending order; empty where the file has none of this kind. A name without a place for the layer is there even if
// the file has it not, which whoever reads it then says.
std::vector<LayerNames> FindLayers(const Inputs& inputs, Kind kind, const AttentionNames& names);

// NOT_FOUND where there is no such layer. Without a number the first one.
absl::StatusOr<LayerNames> SelectLayer(const std::vector<LayerNames>& layers, std::optional<std::int64_t> number);

}  // namespace attnd::cli

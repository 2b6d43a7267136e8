// Which keys a query row may see. All masks that are given apply together. Field by field the Mask, Positions and
// EmptyRow of proto/attnd/v1/attention.proto, which says what each means and when it is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/tensor.h"

namespace attnd::core {

enum class Alignment : std::uint8_t {
  kUnspecified,  // allowed only where Sq == Sk
  kTopLeft,      // offset 0
  kBottomRight,  // offset Sk − Sq
};

// Where the query rows stand among the keys: row i at i + offset. At most one of the two.
struct PositionOptions {
  std::optional<Alignment> alignment;
  std::optional<std::vector<std::int64_t>> offsets;  // one a batch entry, of any sign
};

struct CausalOptions {
  PositionOptions positions;
  std::vector<std::int64_t> prefix_lengths;  // none, or one a batch entry
};

struct WindowOptions {
  std::optional<std::int64_t> left;
  std::optional<std::int64_t> right;
};

struct SegmentOptions {
  TensorDescription query;
  TensorDescription key;
};

struct BlockMaskOptions {
  std::int64_t query_block_rows = 0;
  std::int64_t key_block_keys = 0;
  TensorDescription tensor;
};

// As a caller gives it; problem.h checks it.
struct MaskOptions {
  std::optional<CausalOptions> causal;
  std::optional<std::vector<std::int64_t>> key_lengths;
  std::optional<std::vector<std::int64_t>> query_lengths;
  // ElementType::kBool; an element that is not 0 makes its key visible.
  std::optional<TensorDescription> boolean;
  std::optional<WindowOptions> window;
  std::optional<SegmentOptions> segments;
  std::optional<BlockMaskOptions> blocks;
};

// What a query row that may see no key gives.
enum class EmptyRow : std::uint8_t {
  kZero,             // output 0, weights 0
  kMeanOfAllValues,  // output the mean of all values of its batch entry and head, weights 1/Sk
};

}  // namespace attnd::core

#include "core/tiles.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>

#include "core/kernels/products.h"

namespace attnd::core {
namespace {

// The elements of a tensor that broadcasts to the weights, for one query row: that of key 0.
template <typename Element>
const Element* RowOf(const Element* data, const BroadcastStrides& strides, const QueryTile& tile, std::int64_t row) {
  return data + tile.batch_entry * strides.batch + tile.query_head * strides.head + row * strides.query;
}

// Clears the bytes of the keys that `is_hidden` says of their elements; keys past the tensor's end are hidden as well.
template <typename Element, typename IsHidden>
void HideWhere(const Element* row, const BroadcastStrides& strides, Range keys, IsHidden is_hidden,
               std::uint8_t* bytes) {
  const std::int64_t count = std::clamp(strides.keys_end - keys.begin, std::int64_t{0}, keys.size());
  if (strides.key == 0) {
    if (is_hidden(*row)) std::memset(bytes, 0, static_cast<std::size_t>(count));
  } else {
    const Element* elements = row + keys.begin;
    for (std::int64_t c = 0; c < count; ++c) {
      bytes[c] = static_cast<std::uint8_t>(bytes[c] & (is_hidden(elements[c]) ? 0 : 1));
    }
  }
  std::memset(bytes + count, 0, static_cast<std::size_t>(keys.size() - count));
}

void HideByBias(const Bias& bias, const void* data, const QueryTile& tile, std::int64_t row, Range keys,
                std::uint8_t* bytes) {
  if (bias.element_type == ElementType::kFloat32) {
    HideWhere(
        RowOf(static_cast<const float*>(data), bias.strides, tile, row), bias.strides, keys,
        [](float element) { return element == -std::numeric_limits<float>::infinity(); }, bytes);
    return;
  }
  const std::uint16_t minus_infinity = bias.element_type == ElementType::kBfloat16 ? 0xff80 : 0xfc00;
  HideWhere(
      RowOf(static_cast<const std::uint16_t*>(data), bias.strides, tile, row), bias.strides, keys,
      [minus_infinity](std::uint16_t element) { return element == minus_infinity; }, bytes);
}

void HideOtherSegments(const Problem& problem, const Tensors& tensors, const QueryTile& tile, std::int64_t row,
                       Range keys, std::uint8_t* bytes) {
  // In a ragged batch all sequences follow each other.
  const std::int64_t entry = problem.is_ragged() ? 0 : tile.batch_entry;
  const std::int32_t id = tensors.query_segment_ids[entry * problem.query_rows + tile.sequence.first_row + row];
  const std::int32_t* key_ids = tensors.key_segment_ids + entry * problem.keys + tile.sequence.first_key + keys.begin;
  for (std::int64_t c = 0; c < keys.size(); ++c) {
    bytes[c] = static_cast<std::uint8_t>(bytes[c] & (key_ids[c] == id ? 1 : 0));
  }
}

void HideBlocks(const BlockMask& mask, const std::uint8_t* data, const QueryTile& tile, std::int64_t row, Range keys,
                std::uint8_t* bytes) {
  const std::uint8_t* blocks = RowOf(data, mask.strides, tile, row / mask.query_block_rows);
  for (std::int64_t key = keys.begin; key < keys.end;) {
    const std::int64_t block = key / mask.key_block_keys;
    // A block's end may be beyond what 64 bits hold.
    const std::int64_t end = keys.end - key <= mask.key_block_keys - key % mask.key_block_keys
                                 ? keys.end
                                 : (block + 1) * mask.key_block_keys;
    if (blocks[block * mask.strides.key] == 0) {
      std::memset(bytes + (key - keys.begin), 0, static_cast<std::size_t>(end - key));
    }
    key = end;
  }
}

// Whether masks are given that no interval of keys can say.
bool HasOtherMasks(const Problem& problem) {
  return problem.boolean_mask.has_value() || problem.bias.has_value() || problem.has_segments ||
         problem.block_mask.has_value();
}

void FillBytes(const Problem& problem, const Tensors& tensors, const QueryTile& tile, std::int64_t row, Range keys,
               std::uint8_t* bytes) {
  std::memset(bytes, 1, static_cast<std::size_t>(keys.size()));
  if (problem.boolean_mask.has_value()) {
    const BroadcastStrides& strides = *problem.boolean_mask;
    HideWhere(
        RowOf(tensors.mask, strides, tile, row), strides, keys, [](std::uint8_t element) { return element == 0; },
        bytes);
  }
  if (problem.bias.has_value()) HideByBias(*problem.bias, tensors.bias, tile, row, keys, bytes);
  if (problem.has_segments) HideOtherSegments(problem, tensors, tile, row, keys, bytes);
  if (problem.block_mask.has_value()) HideBlocks(*problem.block_mask, tensors.block_mask, tile, row, keys, bytes);
}

bool AnyVisible(const std::uint8_t* bytes, kernels::ColumnInterval columns) {
  return columns.begin < columns.end &&
         std::memchr(bytes + columns.begin, 1, static_cast<std::size_t>(columns.end - columns.begin)) != nullptr;
}

// The visible columns are all in here.
kernels::ColumnInterval Narrow(kernels::ColumnInterval columns, const std::uint8_t* bytes) {
  if (bytes == nullptr || columns.begin >= columns.end) return columns;
  const auto size = static_cast<std::size_t>(columns.end - columns.begin);
  const void* const first = std::memchr(bytes + columns.begin, 1, size);
  if (first == nullptr) return {};
  const void* const last = memrchr(bytes + columns.begin, 1, size);
  return {.begin = static_cast<const std::uint8_t*>(first) - bytes,
          .end = static_cast<const std::uint8_t*>(last) - bytes + 1};
}

}  // namespace

Range VisibleKeys(const Problem& problem, const Sequence& sequence, std::int64_t query_row) {
  if (query_row >= sequence.query_length) return {};
  Range visible{0, sequence.key_length};
  const std::int64_t position = query_row + sequence.offset;
  if (problem.is_causal) visible.end = std::min(visible.end, std::max(position + 1, sequence.prefix_length));
  visible.begin = std::max(visible.begin, position - problem.window_left);
  visible.end = std::min(visible.end, position + problem.window_right + 1);
  return visible.begin < visible.end ? visible : Range{};
}

void FindRowKeys(const Problem& problem, const QueryTile& tile, Range* row_keys) {
  row_keys += tile.first;
  if (!MayHideKeys(problem)) {
    std::fill_n(row_keys, tile.rows.size(), Range{0, tile.sequence.keys});
    return;
  }
  for (std::int64_t row = tile.rows.begin; row < tile.rows.end; ++row) {
    *row_keys++ = VisibleKeys(problem, tile.sequence, row);
  }
}

bool MayHideKeys(const Problem& problem) {
  const bool is_open = problem.window_left == kOpenWindow && problem.window_right == kOpenWindow;
  return problem.is_causal || !is_open || !problem.key_lengths.empty() || !problem.query_lengths.empty() ||
         HasOtherMasks(problem);
}

Range VisiblePanels(const TileVisibility& visibility, std::int64_t rows, std::int64_t end) {
  Range seen{.begin = end, .end = 0};
  for (std::int64_t place = 0; place < rows; ++place) {
    const kernels::ColumnInterval columns =
        Narrow(visibility.columns[static_cast<std::size_t>(place)], visibility.RowBytes(place));
    if (columns.begin >= columns.end) continue;
    seen = {.begin = std::min(seen.begin, columns.begin), .end = std::max(seen.end, columns.end)};
  }
  const std::int64_t panel = kernels::kPanelColumns;
  return {.begin = seen.begin / panel * panel, .end = std::min((seen.end + panel - 1) / panel * panel, end)};
}

TileKind FindVisibility(const Problem& problem, const Tensors& tensors, const QueryTile& tile, Range keys,
                        const Range* row_keys, std::uint8_t* memory, TileVisibility& visibility) {
  visibility.bytes = nullptr;
  if (!MayHideKeys(problem)) {
    std::fill_n(visibility.columns.begin() + tile.first, tile.rows.size(), kernels::ColumnInterval{0, keys.size()});
    return TileKind::kFull;
  }
  bool any = false;
  bool all = true;
  const std::int64_t end = tile.first + tile.rows.size();
  for (std::int64_t place = tile.first; place < end; ++place) {
    const kernels::ColumnInterval columns{
        .begin = std::clamp(row_keys[place].begin - keys.begin, std::int64_t{0}, keys.size()),
        .end = std::clamp(row_keys[place].end - keys.begin, std::int64_t{0}, keys.size())};
    visibility.columns[static_cast<std::size_t>(place)] = columns;
    any = any || columns.begin < columns.end;
    all = all && columns.begin == 0 && columns.end == keys.size();
  }
  if (!any) return TileKind::kHidden;
  if (!HasOtherMasks(problem)) return all ? TileKind::kFull : TileKind::kMixed;
  any = false;
  for (std::int64_t place = tile.first; place < end; ++place) {
    std::uint8_t* const bytes = memory + place * kKeyTileKeys;
    FillBytes(problem, tensors, tile, tile.rows.begin + (place - tile.first), keys, bytes);
    any = any || AnyVisible(bytes, visibility.columns[static_cast<std::size_t>(place)]);
  }
  visibility.bytes = memory;
  return any ? TileKind::kMixed : TileKind::kHidden;
}

}  // namespace attnd::core

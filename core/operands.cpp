#include "core/operands.h"

#include <algorithm>
#include <bitset>
#include <cassert>
#include <cstring>
#include <utility>

#include "core/tiles.h"

namespace attnd::core {
namespace {

// A key tile, or a part of one, as far as the products' sizes depend on it.
struct KeySizes {
  std::int64_t keys = 0;
  std::int64_t last_panel_columns = 0;
};

// The columns, which begin with a panel, of a key tile of `padded_keys`.
KeySizes SizesOf(Range columns, std::int64_t padded_keys) {
  return {.keys = columns.size(),
          .last_panel_columns =
              kernels::TileProducts::PanelColumns(padded_keys, (columns.end - 1) / kernels::kPanelColumns)};
}

// All are multiples of kPaddedElements. A set takes the lengths of each entry of a batch, which must not cost more than
// small entries themselves.
class KeySizesSet {
 public:
  void Insert(const KeySizes& sizes) {
    const std::int64_t index = (sizes.keys / kernels::kPaddedElements - 1) * kPanelSizes +
                               sizes.last_panel_columns / kernels::kPaddedElements - 1;
    has_.set(static_cast<std::size_t>(index));
  }
  std::vector<KeySizes> All() const {
    std::vector<KeySizes> all;
    for (std::int64_t index = 0; index < static_cast<std::int64_t>(has_.size()); ++index) {
      if (!has_.test(static_cast<std::size_t>(index))) continue;
      all.push_back({.keys = (index / kPanelSizes + 1) * kernels::kPaddedElements,
                     .last_panel_columns = (index % kPanelSizes + 1) * kernels::kPaddedElements});
    }
    return all;
  }

 private:
  static constexpr std::int64_t kPanelSizes = kernels::kPanelColumns / kernels::kPaddedElements;
  std::bitset<kKeyTileKeys / kernels::kPaddedElements * kPanelSizes> has_;
};

// What the tiles of a problem need products for.
struct TileShapes {
  std::vector<std::int64_t> query_rows;
  std::vector<KeySizes> keys;
};

void AddRows(const Plan& plan, const Sequence& sequence, std::bitset<kQueryTileRows + 1>& rows) {
  const auto add = [&](std::int64_t count) { rows.set(static_cast<std::size_t>(count)); };
  const std::int64_t heads = plan.HeadsPerTile(sequence);
  add(QueryTileRows(0, sequence.rows).size() * heads);
  add(QueryTileRows(TilesOf(sequence).query_tiles - 1, sequence.rows).size() * heads);
  add(sequence.rows <= kQueryTileRows ? plan.query_heads_per_group % heads * sequence.rows : 0);
}

// What a key tile of which the keys from `end` on are hidden may be cut to; see VisiblePanels.
void AddParts(std::int64_t end, std::int64_t padded_keys, KeySizesSet& parts) {
  for (std::int64_t begin = 0; begin < end; begin += kernels::kPanelColumns) {
    parts.Insert(SizesOf({begin, end}, padded_keys));
    parts.Insert(SizesOf({0, std::min(end, begin + kernels::kPanelColumns)}, padded_keys));
  }
}

void AddKeys(const Problem& problem, const Plan& plan, const Sequence& sequence, KeySizesSet& sizes) {
  const SequenceTiles tiles = TilesOf(sequence);
  for (const std::int64_t tile : {std::int64_t{0}, tiles.key_tiles - 1, tiles.packed_key_tiles - 1}) {
    const Range keys = KeyTileKeys(tile, sequence.keys);
    const std::int64_t padded = plan.PaddedKeys(keys);
    sizes.Insert(SizesOf({0, padded}, padded));
    if (MayHideKeys(problem) && sequence.key_length > keys.begin) {
      AddParts(plan.PaddedKeysBefore(sequence.key_length, keys), padded, sizes);
    }
  }
}

TileShapes ShapesOf(const Problem& problem, const Plan& plan) {
  std::bitset<kQueryTileRows + 1> rows;
  KeySizesSet keys;
  std::int64_t most_rows = 0;
  const bool are_alike = !problem.is_ragged() && problem.key_lengths.empty();
  const std::int64_t entries = are_alike ? 1 : problem.batch;
  for (std::int64_t entry = 0; entry < entries; ++entry) {
    const Sequence sequence = problem.SequenceAt(entry);
    const SequenceTiles tiles = TilesOf(sequence);
    if (tiles.query_tiles > 0) {
      most_rows = std::max(most_rows, QueryTileRows(0, sequence.rows).size());
      AddRows(plan, sequence, rows);
    }
    if (tiles.key_tiles > 0) AddKeys(problem, plan, sequence, keys);
  }
  TileShapes shapes{.query_rows = {}, .keys = keys.All()};
  for (std::size_t count = 1; count < rows.size(); ++count) {
    // Summaries take as many rows together as are chosen.
    const bool is_chosen = HasSummaries(problem.summaries) && static_cast<std::int64_t>(count) <= most_rows;
    if (rows.test(count) || is_chosen) shapes.query_rows.push_back(static_cast<std::int64_t>(count));
  }
  return shapes;
}

}  // namespace

Operands::Operands(const Problem& problem, const Tensors& tensors, std::shared_ptr<kernels::Products> products)
    : problem_(problem),
      tensors_(tensors),
      products_(std::move(products)),
      plan_(MakePlan(problem_, products_->operand_type(), products_->size_step())),
      element_size_bytes_(static_cast<std::int64_t>(ElementSizeBytes(problem.element_type))),
      operand_size_bytes_(static_cast<std::int64_t>(ElementSizeBytes(products_->operand_type()))) {}

void Operands::Prepare() {
  const TileShapes shapes = ShapesOf(problem_, plan_);
  for (const KeySizes& keys : shapes.keys) {
    const kernels::TileSizes sizes{.keys = keys.keys,
                                   .last_panel_columns = keys.last_panel_columns,
                                   .head_size = plan_.padded_head_size,
                                   .value_head_size = plan_.padded_value_head_size,
                                   .scores_stride = kKeyTileKeys};
    products_of_tiles_.emplace_back(*products_, sizes, shapes.query_rows);
  }
}

const kernels::TileProducts& Operands::ProductsFor(Range columns, std::int64_t padded_keys) const {
  const KeySizes wanted = SizesOf(columns, padded_keys);
  const auto found = std::find_if(products_of_tiles_.begin(), products_of_tiles_.end(), [&](const auto& products) {
    return products.sizes().keys == wanted.keys && products.sizes().last_panel_columns == wanted.last_panel_columns;
  });
  assert(found != products_of_tiles_.end());
  return *found;
}

const std::byte* Operands::Row(const void* data, const Strides& strides, std::int64_t batch_entry, std::int64_t head,
                               std::int64_t row) const {
  return static_cast<const std::byte*>(data) + ElementOf(strides, batch_entry, head, row) * element_size_bytes_;
}

bool Operands::IsOperand(std::int64_t size, std::int64_t padded_size) const {
  return plan_.operand_type == problem_.element_type && size == padded_size;
}

void Operands::LoadRow(const void* from, std::int64_t count, std::int64_t padded_count, void* to) const {
  if (plan_.operand_type == problem_.element_type) {
    std::memcpy(to, from, static_cast<std::size_t>(count * operand_size_bytes_));
  } else {
    kernels::ToFloat32(problem_.element_type, from, count, static_cast<float*>(to));
  }
  std::memset(static_cast<std::byte*>(to) + count * operand_size_bytes_, 0,
              static_cast<std::size_t>((padded_count - count) * operand_size_bytes_));
}

void Operands::LoadQuery(std::int64_t batch_entry, std::int64_t query_head, const Sequence& sequence, std::int64_t row,
                         void* to) const {
  const std::int64_t count = row < sequence.query_length ? problem_.head_size : 0;
  LoadRow(Row(tensors_.query, problem_.query_strides, batch_entry, query_head, sequence.first_row + row), count,
          plan_.padded_head_size, to);
}

void Operands::LoadQueries(std::int64_t batch_entry, std::int64_t query_head, const Sequence& sequence, Range rows,
                           void* to) const {
  if (rows.end <= sequence.query_length &&
      AreOperands(problem_.query_strides, problem_.head_size, plan_.padded_head_size)) {
    std::memcpy(to,
                Row(tensors_.query, problem_.query_strides, batch_entry, query_head, sequence.first_row + rows.begin),
                static_cast<std::size_t>(rows.size() * QuerySizeBytes()));
    return;
  }
  auto* query = static_cast<std::byte*>(to);
  for (std::int64_t row = rows.begin; row < rows.end; ++row, query += QuerySizeBytes()) {
    LoadQuery(batch_entry, query_head, sequence, row, query);
  }
}

void Operands::PackKeys(std::int64_t group, const Sequence& sequence, Range keys, std::int64_t end, std::byte* packed,
                        Scratch& scratch) const {
  const std::int64_t padded_keys = plan_.PaddedKeys(keys);
  const kernels::TileProducts& products = ProductsFor({0, padded_keys}, padded_keys);
  const std::int64_t row_size_bytes = plan_.padded_head_size * operand_size_bytes_;
  auto* plain = static_cast<std::byte*>(scratch.panel());
  const auto row_of = [&](std::int64_t key) {
    return Row(tensors_.key, problem_.key_strides, group / problem_.key_value_heads, group % problem_.key_value_heads,
               sequence.first_key + key);
  };
  for (std::int64_t panel = 0; panel < kernels::TileProducts::Panels(padded_keys); ++panel) {
    const std::int64_t columns = kernels::TileProducts::PanelColumns(padded_keys, panel);
    const std::int64_t first = keys.begin + panel * kernels::kPanelColumns;
    if (first >= end) return;
    if (IsOperand(problem_.head_size, plan_.padded_head_size) && first + columns <= keys.end) {
      products.PackKeyPanel(panel, row_of(first), problem_.key_strides.row * element_size_bytes_, packed);
    } else {
      for (std::int64_t column = 0; column < columns; ++column) {
        const std::int64_t key = first + column;
        LoadRow(row_of(std::min(key, keys.end - 1)), key < keys.end ? problem_.head_size : 0, plan_.padded_head_size,
                plain + column * row_size_bytes);
      }
      products.PackKeyPanel(panel, plain, row_size_bytes, packed);
    }
    packed += columns * row_size_bytes;
  }
}

kernels::ValueKinds Operands::PackValues(std::int64_t group, const Sequence& sequence, Range keys, std::int64_t end,
                                         std::byte* packed) const {
  const kernels::PlainRows values{.first = Row(tensors_.value, problem_.value_strides, group / problem_.key_value_heads,
                                               group % problem_.key_value_heads, sequence.first_key + keys.begin),
                                  .row_size_bytes = problem_.value_strides.row * element_size_bytes_,
                                  .rows = std::clamp(end - keys.begin, std::int64_t{0}, keys.size()),
                                  .columns = problem_.value_head_size};
  const std::int64_t padded_keys = plan_.PaddedKeys(keys);
  if (plan_.operand_type != problem_.element_type) return ConvertValues(values, padded_keys, packed);
  return kernels::PackValues(plan_.operand_type, products_->value_layout(), values, padded_keys,
                             plan_.padded_value_head_size, packed);
}

kernels::ValueKinds Operands::ConvertValues(const kernels::PlainRows& values, std::int64_t padded_keys,
                                            std::byte* packed) const {
  // Float32, since nothing is converted to a half type.
  assert(products_->value_layout() == kernels::ValueLayout::kRows);
  const std::int64_t padded_columns = plan_.padded_value_head_size;
  std::byte* to = packed;
  for (std::int64_t panel = 0; panel < kernels::TileProducts::Panels(padded_columns); ++panel) {
    const std::int64_t width = kernels::TileProducts::PanelColumns(padded_columns, panel);
    const std::int64_t first = panel * kernels::kPanelColumns;
    for (std::int64_t row = 0; row < values.rows; ++row, to += width * operand_size_bytes_) {
      const auto* from = static_cast<const std::byte*>(values.first) + row * values.row_size_bytes;
      LoadRow(from + first * element_size_bytes_, std::min(width, values.columns - first), width, to);
    }
    const std::int64_t padding_bytes = (padded_keys - values.rows) * width * operand_size_bytes_;
    std::memset(to, 0, static_cast<std::size_t>(padding_bytes));
    to += padding_bytes;
  }
  return kernels::ReplaceNonFinite(plan_.operand_type, packed, padded_keys * padded_columns);
}

}  // namespace attnd::core

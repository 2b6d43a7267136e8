#include "core/kernels/tile_products.h"

#include <algorithm>
#include <cassert>

namespace attnd::core::kernels {
namespace {

const std::byte* Advance(const void* pointer, std::int64_t size_bytes) {
  return static_cast<const std::byte*>(pointer) + size_bytes;
}

}  // namespace

std::int64_t NextRowClass(std::span<const std::int64_t> classes, std::int64_t remaining) {
  // One product that computes a few rows too many is faster than several that do not: 16 rows take less time than 8, 4
  // and 4 for 15 of them.
  for (const std::int64_t rows : classes) {
    if (rows >= remaining && 4 * rows <= 5 * remaining) return rows;
  }
  // A product of a single row is slow for its size, so it serves only a row that is alone.
  for (const std::int64_t rows : classes) {
    if (rows <= remaining && (rows > 1 || remaining == 1)) return rows;
  }
  const auto smallest =
      std::find_if(classes.rbegin(), classes.rend(), [&](std::int64_t rows) { return rows >= remaining; });
  assert(smallest != classes.rend());
  return *smallest;
}

TileProducts::TileProducts(Products& products, const TileSizes& sizes, std::span<const std::int64_t> query_rows)
    : sizes_(sizes),
      operand_size_bytes_(static_cast<std::int64_t>(ElementSizeBytes(products.operand_type()))),
      class_rows_(products.row_classes().begin(), products.row_classes().end()) {
  if (sizes.keys >= kPanelColumns) key_packer_.whole = products.MakeKeyPacker(sizes.head_size, kPanelColumns);
  if (const std::int64_t columns = sizes.keys % kPanelColumns; columns != 0) {
    key_packer_.last = products.MakeKeyPacker(sizes.head_size, columns);
  }
  for (const std::int64_t rows : query_rows) AddRowClasses(products, rows);
}

TileProducts::PanelProduct TileProducts::MakeProduct(Products& products, ProductShape shape, std::int64_t columns,
                                                     std::int64_t last_panel_columns) {
  PanelProduct result;
  if (columns >= kPanelColumns) {
    shape.columns = shape.panel_columns = kPanelColumns;
    result.whole = products.MakeProduct(shape);
  }
  if (columns % kPanelColumns != 0) {
    shape.columns = columns % kPanelColumns;
    shape.panel_columns = last_panel_columns;
    result.last = products.MakeProduct(shape);
  }
  return result;
}

void TileProducts::AddRowClasses(Products& products, std::int64_t query_rows) {
  for (std::int64_t remaining = query_rows; remaining > 0;) {
    const std::int64_t rows = NextRowClass(class_rows_, remaining);
    remaining -= rows;
    if (std::any_of(row_classes_.begin(), row_classes_.end(), [&](const RowClass& c) { return c.rows == rows; }))
      continue;
    RowClass row_class;
    row_class.rows = rows;
    ProductShape shape;
    shape.rows = rows;
    shape.inner = sizes_.head_size;
    shape.a_stride = sizes_.head_size;
    shape.c_stride = sizes_.scores_stride;
    row_class.scores = MakeProduct(products, shape, sizes_.keys, sizes_.last_panel_columns);
    shape.inner = sizes_.keys;
    shape.a_stride = sizes_.scores_stride;
    shape.c_stride = sizes_.value_head_size;
    shape.accumulate = true;
    row_class.sums = MakeProduct(products, shape, sizes_.value_head_size, sizes_.value_head_size % kPanelColumns);
    row_classes_.push_back(std::move(row_class));
  }
}

const TileProducts::RowClass& TileProducts::FindRowClass(std::int64_t rows) const {
  const auto found =
      std::find_if(row_classes_.begin(), row_classes_.end(), [&](const RowClass& c) { return c.rows == rows; });
  assert(found != row_classes_.end());
  return *found;
}

std::int64_t TileProducts::Panels(std::int64_t columns) { return (columns + kPanelColumns - 1) / kPanelColumns; }

std::int64_t TileProducts::PanelColumns(std::int64_t columns, std::int64_t panel) {
  return std::min(kPanelColumns, columns - panel * kPanelColumns);
}

void TileProducts::PackKeyPanel(std::int64_t panel, const void* plain, std::int64_t row_size_bytes,
                                void* packed) const {
  assert(sizes_.last_panel_columns == PanelColumns(sizes_.keys, Panels(sizes_.keys) - 1));
  const bool whole = PanelColumns(sizes_.keys, panel) == kPanelColumns;
  (whole ? key_packer_.whole : key_packer_.last)->Run(plain, row_size_bytes, packed);
}

void TileProducts::RunPanels(const PanelProduct& product, std::int64_t columns, const void* a, const void* b,
                             std::int64_t panel_rows, std::int64_t first_row, float* c) const {
  const std::int64_t whole_panels = columns / kPanelColumns;
  const std::int64_t panel_size_bytes = panel_rows * kPanelColumns * operand_size_bytes_;
  if (product.whole != nullptr) {
    const void* const first = Advance(b, first_row * kPanelColumns * operand_size_bytes_);
    product.whole->Run(a, first, panel_size_bytes, whole_panels, c);
  }
  if (product.last != nullptr) {
    const std::int64_t skipped =
        whole_panels * panel_size_bytes + first_row * (columns % kPanelColumns) * operand_size_bytes_;
    product.last->Run(a, Advance(b, skipped), panel_size_bytes, 1, c + whole_panels * kPanelColumns);
  }
}

void TileProducts::Scores(std::int64_t rows, const void* query, const void* packed_keys, float* scores) const {
  for (std::int64_t row = 0; row < rows;) {
    const RowClass& row_class = FindRowClass(NextRowClass(class_rows_, rows - row));
    RunPanels(row_class.scores, sizes_.keys, Advance(query, row * sizes_.head_size * operand_size_bytes_), packed_keys,
              /*panel_rows=*/sizes_.head_size, /*first_row=*/0, scores + row * sizes_.scores_stride);
    row += row_class.rows;
  }
}

void TileProducts::AddSums(std::int64_t rows, const void* weights, const PackedValues& values, float* sums) const {
  for (std::int64_t row = 0; row < rows;) {
    const RowClass& row_class = FindRowClass(NextRowClass(class_rows_, rows - row));
    RunPanels(row_class.sums, sizes_.value_head_size,
              Advance(weights, row * sizes_.scores_stride * operand_size_bytes_), values.panels, values.panel_keys,
              values.first_key, sums + row * sizes_.value_head_size);
    row += row_class.rows;
  }
}

}  // namespace attnd::core::kernels

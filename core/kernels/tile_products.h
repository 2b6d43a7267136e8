// The products for one size of key tile, put together from products of panels and of classes of rows.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/kernels/products.h"

namespace attnd::core::kernels {

// All sizes are padded ones (PaddedSize). Of a key tile whose end no row sees, the products may be made for fewer keys
// than it has.
struct TileSizes {
  std::int64_t keys = 0;
  std::int64_t last_panel_columns = 0;  // of the packed panel that holds the last of them
  std::int64_t head_size = 0;
  std::int64_t value_head_size = 0;
  std::int64_t scores_stride = 0;  // from a row of scores, and of weights, to the next
};

// Where the values of `TileSizes::keys` keys lie: in panels of `panel_keys` keys, from key `first_key` on, which is a
// multiple of kPanelColumns.
struct PackedValues {
  const void* panels = nullptr;
  std::int64_t panel_keys = 0;
  std::int64_t first_key = 0;
};

// The rows that the next product takes of `remaining` ones: as many as a class has, or a class that holds them all,
// whose surplus rows are then computed for nothing. `classes` is descending.
std::int64_t NextRowClass(std::span<const std::int64_t> classes, std::int64_t remaining);

// Constant after construction, and thread-safe.
class TileProducts {
 public:
  // Makes the products for tiles of each of these numbers of query rows, in steps that NextRowClass takes. Throws what
  // oneDNN throws.
  TileProducts(Products& products, const TileSizes& sizes, std::span<const std::int64_t> query_rows);

  const TileSizes& sizes() const { return sizes_; }

  // Panel by panel: `columns` of the panel at `panel`, and its packing.
  static std::int64_t PanelColumns(std::int64_t columns, std::int64_t panel);
  static std::int64_t Panels(std::int64_t columns);
  // [columns × head_size], whose rows begin `row_size_bytes` after each other, → panel of keys, of a whole tile.
  void PackKeyPanel(std::int64_t panel, const void* plain, std::int64_t row_size_bytes, void* packed) const;

  // scores[rows × keys] = query[rows × head_size]·keysᵀ
  void Scores(std::int64_t rows, const void* query, const void* packed_keys, float* scores) const;
  // sums[rows × value_head_size] += weights[rows × keys]·values
  void AddSums(std::int64_t rows, const void* weights, const PackedValues& values, float* sums) const;

 private:
  struct PanelPacker {
    std::shared_ptr<const Packer> whole;  // kPanelColumns columns
    std::shared_ptr<const Packer> last;   // fewer
  };
  struct PanelProduct {
    std::shared_ptr<const Product> whole;
    std::shared_ptr<const Product> last;
  };
  struct RowClass {
    std::int64_t rows = 0;
    PanelProduct scores;
    PanelProduct sums;
  };

  static PanelProduct MakeProduct(Products& products, ProductShape shape, std::int64_t columns,
                                  std::int64_t last_panel_columns);
  void AddRowClasses(Products& products, std::int64_t query_rows);
  const RowClass& FindRowClass(std::int64_t rows) const;
  // Panels of B of `columns` columns in all that have `panel_rows` rows, of which the product takes those from
  // `first_row` on.
  void RunPanels(const PanelProduct& product, std::int64_t columns, const void* a, const void* b,
                 std::int64_t panel_rows, std::int64_t first_row, float* c) const;

  const TileSizes sizes_;
  const std::int64_t operand_size_bytes_;
  const std::vector<std::int64_t> class_rows_;
  PanelPacker key_packer_;
  std::vector<RowClass> row_classes_;
};

}  // namespace attnd::core::kernels

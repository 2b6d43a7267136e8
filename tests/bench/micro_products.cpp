// The two products of a tile, Q·Kᵀ and P·V, by each implementation: floating-point operations a second. Rows that a
// product computes beyond those asked for do not count.
#include <absl/strings/str_cat.h>
#include <benchmark/benchmark.h>

#include <array>
#include <memory>

#include "core/kernels/tile_products.h"
#include "core/plan.h"
#include "tests/bench/micro_bench.h"
#include "tests/bench/micro_inputs.h"

namespace attnd::bench {
namespace {

using core::ElementType;
using core::kKeyTileKeys;
using core::kQueryTileRows;
using core::kernels::Products;

enum class Which : std::uint8_t { kScores, kSums };

// A decoding step of one head, of some that share their keys, and a whole tile.
constexpr std::array<std::int64_t, 5> kRows = {1, 4, 8, 16, kQueryTileRows};

// A tile with room for all its rows, however few are computed: products may write to more of them than asked for.
class Tile {
 public:
  Tile(Products& products, std::int64_t rows, std::int64_t head_size)
      : rows_(rows),
        products_(products,
                  {.keys = kKeyTileKeys,
                   .last_panel_columns = core::kernels::kPanelColumns,
                   .head_size = head_size,
                   .value_head_size = head_size,
                   .scores_stride = kKeyTileKeys},
                  std::array{rows}),
        query_(RandomElements(products.operand_type(), kQueryTileRows * head_size)),
        keys_(RandomElements(products.operand_type(), kKeyTileKeys * head_size)),
        weights_(RandomElements(products.operand_type(), kQueryTileRows * kKeyTileKeys)),
        scores_(RandomElements(ElementType::kFloat32, kQueryTileRows * kKeyTileKeys)),
        sums_(RandomElements(ElementType::kFloat32, kQueryTileRows * head_size)) {}

  void Multiply(Which which) {
    if (which == Which::kScores) {
      products_.Scores(rows_, query_.get(), keys_.get(), reinterpret_cast<float*>(scores_.get()));
    } else {
      products_.AddSums(rows_, weights_.get(), {.panels = keys_.get(), .panel_keys = kKeyTileKeys},
                        reinterpret_cast<float*>(sums_.get()));
    }
  }

 private:
  const std::int64_t rows_;
  const core::kernels::TileProducts products_;
  const core::AlignedBuffer query_;
  const core::AlignedBuffer keys_;  // and values
  const core::AlignedBuffer weights_;
  const core::AlignedBuffer scores_;
  const core::AlignedBuffer sums_;
};

void Product(benchmark::State& state, Which which, Products& products, std::int64_t rows, std::int64_t head_size) {
  Tile tile(products, rows, head_size);
  for (auto _ : state) {
    tile.Multiply(which);
    benchmark::ClobberMemory();
  }
  products.ReleaseThread();
  ReportRate(state, "operations", 2.0 * static_cast<double>(rows * kKeyTileKeys * head_size));
}

}  // namespace

void RegisterProducts() {
  for (const std::shared_ptr<Products>& products : AllProducts()) {
    for (const Which which : {Which::kScores, Which::kSums}) {
      for (const std::int64_t head_size : {64, 128}) {
        for (const std::int64_t rows : kRows) {
          benchmark::RegisterBenchmark(
              absl::StrCat("product ", which == Which::kScores ? "scores" : "sums", " D", head_size, " rows ", rows,
                           " ", products->name()),
              [=](benchmark::State& state) { Product(state, which, *products, rows, head_size); });
        }
      }
    }
  }
}

}  // namespace attnd::bench

// One head's attention by tiles of other sizes than the core's (core/plan.h), made of its kernels: floating-point
// operations a second. It says whether what is derived from the size of the caches is also the fastest.
#include <absl/strings/str_cat.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <vector>

#include "core/kernels/kernel_list.h"
#include "core/kernels/softmax.h"
#include "core/kernels/tile_products.h"
#include "core/plan.h"
#include "tests/bench/micro_bench.h"
#include "tests/bench/micro_inputs.h"

namespace attnd::bench {
namespace {

using core::ElementType;
using core::kernels::Products;

constexpr std::array<std::int64_t, 5> kQueryTiles = {16, 32, 64, 96, 128};
constexpr std::array<std::int64_t, 4> kKeyTiles = {64, 128, 256, 512};

// Every tile above divides these, so all sizes compute the same.
constexpr std::int64_t kRows = 384;
constexpr std::int64_t kKeys = 2048;

// Of padded sizes.
struct TileSize {
  std::int64_t rows = 0;
  std::int64_t keys = 0;
  std::int64_t head_size = 0;
};

// What a tile reads and writes: query, keys, values, scores, weights where they are not in the scores' place, and sums.
std::int64_t WorkingSetBytes(const TileSize& tile, ElementType operand_type) {
  const auto operand_bytes = static_cast<std::int64_t>(core::ElementSizeBytes(operand_type));
  const std::int64_t weight_bytes = operand_type == ElementType::kFloat32 ? 0 : operand_bytes;
  const auto float_bytes = static_cast<std::int64_t>(sizeof(float));
  return (tile.rows + 2 * tile.keys) * tile.head_size * operand_bytes +
         tile.rows * tile.keys * (float_bytes + weight_bytes) + tile.rows * tile.head_size * float_bytes;
}

// Of the second-level cache; 0 where it is not known.
std::int64_t CacheBytes() {
  for (const auto& cache : benchmark::CPUInfo::Get().caches) {
    if (cache.level == 2) return cache.size;
  }
  return 0;
}

// The most keys with which a tile takes half of the second-level cache, the other half being for the keys and values
// that come next; 0 where there are none.
std::int64_t DerivedKeyTile(std::int64_t rows, std::int64_t head_size, ElementType operand_type) {
  std::int64_t derived = 0;
  for (const std::int64_t keys : kKeyTiles) {
    const TileSize tile{.rows = rows, .keys = keys, .head_size = head_size};
    if (2 * WorkingSetBytes(tile, operand_type) <= CacheBytes()) derived = keys;
  }
  return derived;
}

class Head {
 public:
  Head(Products& products, const TileSize& tile)
      : tile_(tile),
        operand_type_(products.operand_type()),
        products_(products,
                  {.keys = tile.keys,
                   .last_panel_columns = core::kernels::kPanelColumns,
                   .head_size = tile.head_size,
                   .value_head_size = tile.head_size,
                   .scores_stride = tile.keys},
                  std::array{tile.rows}),
        query_(RandomElements(operand_type_, kRows * tile.head_size)),
        keys_(RandomElements(operand_type_, kKeys * tile.head_size)),
        values_(RandomElements(operand_type_, kKeys * tile.head_size)),
        scores_(RandomElements(ElementType::kFloat32, tile.rows * tile.keys)),
        half_weights_(RandomElements(ElementType::kBfloat16, tile.rows * tile.keys)),
        sums_(static_cast<std::size_t>(tile.rows * tile.head_size)),
        visible_(static_cast<std::size_t>(tile.rows), {.begin = 0, .end = tile.keys}),
        maximum_(static_cast<std::size_t>(tile.rows)),
        sum_(maximum_.size()),
        factor_(maximum_.size()),
        seen_(maximum_.size()) {
    softmax_ = {.rows = tile.rows,
                .columns = tile.keys,
                .stride = tile.keys,
                .scores = reinterpret_cast<const float*>(scores_.get()),
                .scale_log2e = std::numbers::log2e_v<float> / std::sqrt(static_cast<float>(tile.head_size)),
                .visible = visible_.data(),
                .weights = operand_type_ == ElementType::kFloat32 ? scores_.get() : half_weights_.get(),
                .weights_type = operand_type_,
                .maximum = maximum_.data(),
                .sum = sum_.data(),
                .seen = seen_.data(),
                .factor = factor_.data()};
  }
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  void Attend() {
    for (std::int64_t row = 0; row < kRows; row += tile_.rows) AttendQueryTile(At(query_, row));
  }

 private:
  // Where a row begins in a matrix of operands, or a whole tile of packed ones.
  const std::byte* At(const core::AlignedBuffer& matrix, std::int64_t row) const {
    return matrix.get() + row * tile_.head_size * static_cast<std::int64_t>(core::ElementSizeBytes(operand_type_));
  }

  void AttendQueryTile(const void* query) {
    std::fill(maximum_.begin(), maximum_.end(), -std::numeric_limits<float>::infinity());
    std::fill(sum_.begin(), sum_.end(), 0.0F);
    std::fill(sums_.begin(), sums_.end(), 0.0F);
    for (std::int64_t key = 0; key < kKeys; key += tile_.keys) {
      products_.Scores(tile_.rows, query, At(keys_, key), reinterpret_cast<float*>(scores_.get()));
      core::kernels::UpdateSoftmax(softmax_);
      core::kernels::ScaleRows(sums_.data(), tile_.rows, tile_.head_size, factor_.data());
      products_.AddSums(tile_.rows, softmax_.weights, {.panels = At(values_, key), .panel_keys = tile_.keys},
                        sums_.data());
    }
  }

  const TileSize tile_;
  const ElementType operand_type_;
  const core::kernels::TileProducts products_;
  const core::AlignedBuffer query_;
  const core::AlignedBuffer keys_;
  const core::AlignedBuffer values_;
  const core::AlignedBuffer scores_;
  const core::AlignedBuffer half_weights_;
  std::vector<float> sums_;
  std::vector<core::kernels::ColumnInterval> visible_;
  std::vector<float> maximum_;
  std::vector<float> sum_;
  std::vector<float> factor_;
  std::vector<std::uint8_t> seen_;
  core::kernels::SoftmaxTile softmax_;
};

std::string LabelOf(const TileSize& tile, ElementType operand_type) {
  const bool is_derived = tile.keys == DerivedKeyTile(tile.rows, tile.head_size, operand_type);
  const bool is_core = tile.rows == core::kQueryTileRows && tile.keys == core::kKeyTileKeys;
  return absl::StrCat(is_derived ? "derived" : "", is_derived && is_core ? ", " : "", is_core ? "the core's" : "");
}

void Sweep(benchmark::State& state, Products& products, const TileSize& tile) {
  Head head(products, tile);
  for (auto _ : state) {
    head.Attend();
    benchmark::ClobberMemory();
  }
  products.ReleaseThread();
  ReportRate(state, "operations", 4.0 * static_cast<double>(kRows * kKeys * tile.head_size));
  state.counters["tile KiB"] = static_cast<double>(WorkingSetBytes(tile, products.operand_type())) / 1024;
  state.SetLabel(LabelOf(tile, products.operand_type()));
}

void RegisterSweepOf(const std::shared_ptr<Products>& products, std::int64_t head_size) {
  for (const std::int64_t rows : kQueryTiles) {
    for (const std::int64_t keys : kKeyTiles) {
      const TileSize tile{.rows = rows, .keys = keys, .head_size = head_size};
      benchmark::RegisterBenchmark(
          absl::StrCat("tile sweep D", head_size, " ", products->name(), " ", rows, " rows ", keys, " keys"),
          [=](benchmark::State& state) { Sweep(state, *products, tile); })
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace

void RegisterTileSweep() {
  for (const ElementType type : {ElementType::kFloat32, ElementType::kBfloat16}) {
    const std::shared_ptr<Products> products = core::kernels::ChooseProducts(type);
    if (products->operand_type() != type) continue;  // as fast as float32
    for (const std::int64_t head_size : {64, 128}) RegisterSweepOf(products, head_size);
  }
}

}  // namespace attnd::bench

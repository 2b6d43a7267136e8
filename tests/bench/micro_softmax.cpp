// What lies between the products of a tile, and conversions: elements a second.
#include <absl/strings/str_cat.h>
#include <benchmark/benchmark.h>

#include <array>
#include <limits>
#include <numbers>
#include <vector>

#include "core/kernels/softmax.h"
#include "core/plan.h"
#include "tests/bench/micro_bench.h"
#include "tests/bench/micro_inputs.h"

namespace attnd::bench {
namespace {

using core::ElementType;
using core::kKeyTileKeys;
using core::kQueryTileRows;

constexpr std::array kElementTypes = {ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16};

enum class Hidden : std::uint8_t {
  kNone,
  kByInterval,  // as on the diagonal of a causal mask
  kByBytes,     // every other key
};

class Tile {
 public:
  explicit Tile(ElementType weights_type, Hidden hidden)
      : scores_(RandomElements(ElementType::kFloat32, kQueryTileRows * kKeyTileKeys)),
        // Not in place of the scores, where they are of the same type: each iteration is to see the same ones.
        weights_(RandomElements(weights_type, kQueryTileRows * kKeyTileKeys)),
        mask_(kQueryTileRows * kKeyTileKeys) {
    for (std::size_t i = 0; i < mask_.size(); ++i) mask_[i] = i % 2;
    for (std::int64_t row = 0; row < kQueryTileRows; ++row) {
      const std::int64_t end = hidden == Hidden::kByInterval ? (row + 1) * kKeyTileKeys / kQueryTileRows : kKeyTileKeys;
      visible_[static_cast<std::size_t>(row)] = {.begin = 0, .end = end};
    }
    maximum_.fill(-std::numeric_limits<float>::infinity());
    tile_ = {.rows = kQueryTileRows,
             .columns = kKeyTileKeys,
             .stride = kKeyTileKeys,
             .scores = reinterpret_cast<const float*>(scores_.get()),
             .scale_log2e = std::numbers::log2e_v<float>,
             .visible = visible_.data(),
             .mask = hidden == Hidden::kByBytes ? mask_.data() : nullptr,
             .mask_row_stride = kKeyTileKeys,
             .weights = weights_.get(),
             .weights_type = weights_type,
             .maximum = maximum_.data(),
             .sum = sum_.data(),
             .seen = seen_.data(),
             .factor = factor_.data()};
  }
  Tile(const Tile&) = delete;
  Tile& operator=(const Tile&) = delete;

  void Update() { core::kernels::UpdateSoftmax(tile_); }

 private:
  const core::AlignedBuffer scores_;
  const core::AlignedBuffer weights_;
  std::vector<std::uint8_t> mask_;
  std::array<core::kernels::ColumnInterval, kQueryTileRows> visible_;
  std::array<float, kQueryTileRows> maximum_;
  std::array<float, kQueryTileRows> sum_{};
  std::array<float, kQueryTileRows> factor_{};
  std::array<std::uint8_t, kQueryTileRows> seen_{};
  core::kernels::SoftmaxTile tile_;
};

void Softmax(benchmark::State& state, ElementType weights_type, Hidden hidden) {
  Tile tile(weights_type, hidden);
  for (auto _ : state) {
    tile.Update();
    benchmark::ClobberMemory();
  }
  ReportRate(state, "elements", static_cast<double>(kQueryTileRows * kKeyTileKeys));
}

void ScaleRows(benchmark::State& state, std::int64_t head_size) {
  const core::AlignedBuffer sums = RandomElements(ElementType::kFloat32, kQueryTileRows * head_size);
  auto* const matrix = reinterpret_cast<float*>(sums.get());
  std::array<float, kQueryTileRows> halve{};
  std::array<float, kQueryTileRows> twice{};
  halve.fill(0.5F);
  twice.fill(2);
  // There and back, so that the numbers stay normal ones; rows with the factor 1 would be left alone.
  for (auto _ : state) {
    core::kernels::ScaleRows(matrix, kQueryTileRows, head_size, halve.data());
    core::kernels::ScaleRows(matrix, kQueryTileRows, head_size, twice.data());
    benchmark::ClobberMemory();
  }
  ReportRate(state, "elements", 2.0 * static_cast<double>(kQueryTileRows * head_size));
}

enum class Direction : std::uint8_t { kToFloat32, kFromFloat32 };

void Conversion(benchmark::State& state, Direction direction, ElementType type) {
  constexpr std::int64_t kCount = kKeyTileKeys * 64;  // a key tile's keys
  const core::AlignedBuffer typed = RandomElements(type, kCount);
  const core::AlignedBuffer plain = RandomElements(ElementType::kFloat32, kCount);
  auto* const numbers = reinterpret_cast<float*>(plain.get());
  for (auto _ : state) {
    if (direction == Direction::kToFloat32) {
      core::kernels::ToFloat32(type, typed.get(), kCount, numbers);
    } else {
      core::kernels::FromFloat32(numbers, kCount, type, typed.get());
    }
    benchmark::ClobberMemory();
  }
  ReportRate(state, "elements", static_cast<double>(kCount));
}

const char* Name(Hidden hidden) {
  switch (hidden) {
    case Hidden::kNone:
      return "full";
    case Hidden::kByInterval:
      return "diagonal";
    case Hidden::kByBytes:
      return "mask";
  }
  return "";
}

}  // namespace

void RegisterSoftmax() {
  for (const Hidden hidden : {Hidden::kNone, Hidden::kByInterval, Hidden::kByBytes}) {
    for (const ElementType type : kElementTypes) {
      benchmark::RegisterBenchmark(absl::StrCat("softmax ", Name(hidden), " ", core::ElementTypeName(type)),
                                   [=](benchmark::State& state) { Softmax(state, type, hidden); });
    }
  }
  for (const std::int64_t head_size : {64, 128}) {
    benchmark::RegisterBenchmark(absl::StrCat("scale rows D", head_size),
                                 [=](benchmark::State& state) { ScaleRows(state, head_size); });
  }
  for (const ElementType type : {ElementType::kBfloat16, ElementType::kFloat16}) {
    const std::string name(core::ElementTypeName(type));
    benchmark::RegisterBenchmark("convert " + name + " to float32",
                                 [=](benchmark::State& state) { Conversion(state, Direction::kToFloat32, type); });
    benchmark::RegisterBenchmark("convert float32 to " + name,
                                 [=](benchmark::State& state) { Conversion(state, Direction::kFromFloat32, type); });
  }
}

}  // namespace attnd::bench

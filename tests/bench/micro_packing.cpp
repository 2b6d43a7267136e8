// Packing of one whole key tile, as core/operands.h does it: bytes of keys or values that are packed a second.
#include <absl/strings/str_cat.h>
#include <benchmark/benchmark.h>

#include "core/kernels/kernel_list.h"
#include "core/operands.h"
#include "core/plan.h"
#include "core/scratch.h"
#include "tests/bench/micro_bench.h"
#include "tests/bench/micro_inputs.h"

namespace attnd::bench {
namespace {

using core::ElementType;

enum class What : std::uint8_t { kKeys, kValues };

// A head with as many keys as one tile has.
class KeyTile {
 public:
  KeyTile(std::int64_t head_size, ElementType type)
      : problem_(core::CheckProblem(
                     Describe({.length = core::kKeyTileKeys, .head_size = head_size, .element_type = type}), {})
                     .value()),
        plain_(RandomElements(type, core::kKeyTileKeys * head_size)),
        operands_(problem_, {.query = plain_.get(), .key = plain_.get(), .value = plain_.get()},
                  core::kernels::ChooseProducts(type)),
        packed_(core::AllocateAligned(static_cast<std::size_t>(
            operands_.plan().PackedKeySizeBytes(/*key_tiles=*/1, /*keys=*/core::kKeyTileKeys)))) {
    operands_.Prepare();
  }

  void Pack(What what) {
    const core::Sequence sequence = problem_.SequenceAt(0);
    const core::Range keys = core::KeyTileKeys(0, sequence.keys);
    if (what == What::kKeys) {
      operands_.PackKeys(/*group=*/0, sequence, keys, keys.end, packed_.get(), scratch_);
    } else {
      operands_.PackValues(/*group=*/0, sequence, keys, keys.end, packed_.get());
    }
  }

  void ReleaseThread() const { operands_.ReleaseThread(); }

 private:
  const core::Problem problem_;
  const core::AlignedBuffer plain_;
  core::Operands operands_;
  const core::AlignedBuffer packed_;  // as large for keys as for values
  core::Scratch scratch_;
};

void Packing(benchmark::State& state, What what, std::int64_t head_size, ElementType type) {
  KeyTile tile(head_size, type);
  for (auto _ : state) {
    tile.Pack(what);
    benchmark::ClobberMemory();
  }
  tile.ReleaseThread();
  ReportRate(state, "bytes",
             static_cast<double>(core::kKeyTileKeys * head_size) * static_cast<double>(core::ElementSizeBytes(type)));
}

}  // namespace

void RegisterPacking() {
  for (const What what : {What::kKeys, What::kValues}) {
    for (const std::int64_t head_size : {64, 128}) {
      for (const ElementType type : {ElementType::kFloat32, ElementType::kBfloat16}) {
        benchmark::RegisterBenchmark(absl::StrCat("packing ", what == What::kKeys ? "keys" : "values", " D", head_size,
                                                  " ", core::ElementTypeName(type)),
                                     [=](benchmark::State& state) { Packing(state, what, head_size, type); });
      }
    }
  }
}

}  // namespace attnd::bench

#include "core/scores.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "core/kernels/scores.h"
#include "core/kernels/softmax.h"

namespace attnd::core {
namespace {

// The bias of one query row and the keys of a tile; 0 where it does not reach, which is hidden.
void LoadBias(const Bias& bias, const void* data, const QueryTile& tile, std::int64_t row, Range keys, float* added) {
  const BroadcastStrides& strides = bias.strides;
  const std::int64_t element = tile.batch_entry * strides.batch + tile.query_head * strides.head + row * strides.query +
                               keys.begin * strides.key;
  const void* from =
      static_cast<const std::byte*>(data) + element * static_cast<std::int64_t>(ElementSizeBytes(bias.element_type));
  const std::int64_t count = std::clamp(strides.keys_end - keys.begin, std::int64_t{0}, keys.size());
  if (strides.key == 0) {
    float number = 0;
    kernels::ToFloat32(bias.element_type, from, 1, &number);
    std::fill_n(added, count, number);
  } else {
    kernels::ToFloat32(bias.element_type, from, count, added);
  }
  std::fill_n(added + count, keys.size() - count, 0.0F);
}

// Subtracts slope·|p − j|.
void AddAlibi(float slope, std::int64_t position, Range keys, float* added) {
  const auto distance = static_cast<float>(position - keys.begin);
  for (std::int64_t c = 0; c < keys.size(); ++c) {
    added[c] -= slope * std::abs(distance - static_cast<float>(static_cast<std::int32_t>(c)));
  }
}

// Bias and ALiBi of a tile, [rows × kKeyTileKeys].
void FillAdded(const Problem& problem, const Tensors& tensors, const QueryTile& tile, Range keys, float* added) {
  for (std::int64_t row = tile.rows.begin; row < tile.rows.end; ++row) {
    if (problem.bias.has_value()) {
      LoadBias(*problem.bias, tensors.bias, tile, row, keys, added);
    } else {
      std::fill_n(added, keys.size(), 0.0F);
    }
    if (!problem.alibi_slopes.empty()) {
      AddAlibi(problem.alibi_slopes[static_cast<std::size_t>(tile.query_head)], row + tile.sequence.offset, keys,
               added);
    }
    added += kKeyTileKeys;
  }
}

bool AddsToScores(const Problem& problem) { return problem.bias.has_value() || !problem.alibi_slopes.empty(); }

}  // namespace

bool ChangesScores(const Problem& problem) { return AddsToScores(problem) || problem.soft_cap.has_value(); }

float ScaleToPowersOfTwo(const Problem& problem) {
  return static_cast<float>((ChangesScores(problem) ? 1 : problem.scale) * std::numbers::log2e);
}

void ChangeScores(const Problem& problem, const Tensors& tensors, const QueryTile& tile, Range keys, ScoreStage stage,
                  float* scores, float* added) {
  const bool before = problem.bias_place == BiasPlace::kBeforeSoftCap;
  const bool adds = AddsToScores(problem) && stage >= (before ? ScoreStage::kSoftCapped : ScoreStage::kComplete);
  if (adds) FillAdded(problem, tensors, tile, keys, added);
  kernels::ScoreTile change;
  change.rows = tile.rows.size();
  change.columns = keys.size();
  change.stride = kKeyTileKeys;
  change.scores = scores + tile.first * kKeyTileKeys;
  change.scale = problem.scale;
  change.added_before = adds && before ? added : nullptr;
  change.soft_cap = stage >= ScoreStage::kSoftCapped ? problem.soft_cap.value_or(0) : 0;
  change.added_after = adds && !before ? added : nullptr;
  kernels::ChangeScores(change);
}

}  // namespace attnd::core

// What is done to the scores of a tile before the softmax: scale, bias, ALiBi and soft cap.
#pragma once

#include "core/plan.h"
#include "core/problem.h"
#include "core/tensors.h"
#include "core/tiles.h"

namespace attnd::core {

// Whether there is anything to be done but the multiplication with the scale, which the softmax does in passing.
bool ChangesScores(const Problem& problem);

// What turns scores into the powers of two of kernels/softmax.h: log2(e), and the scale where nothing else changes
// them.
float ScaleToPowersOfTwo(const Problem& problem);

// How far scores are taken on their way; see the top of attention.proto.
enum class ScoreStage : std::uint8_t { kScaled, kSoftCapped, kComplete };

// Takes the products q·k of a tile to the stage, in place: of its rows, from their place in `scores`, [places ×
// kKeyTileKeys], on. `added` has room for as many numbers as the rows have. Hidden keys are not told apart: what they
// get is for nobody to see.
void ChangeScores(const Problem& problem, const Tensors& tensors, const QueryTile& tile, Range keys, ScoreStage stage,
                  float* scores, float* added);

}  // namespace attnd::core

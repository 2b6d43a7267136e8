// Cuts the summaries of a problem into pieces. Each piece computes the scores that it needs again and fills results
// that no other one fills, so results depend neither on the order of the pieces nor on who runs them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/plan.h"
#include "core/problem.h"
#include "core/summary_layout.h"

namespace attnd::core {

// Tiles of query rows that are worked on together, so that keys are packed once for all of them.
inline constexpr std::int64_t kChunkTiles = 4;
inline constexpr std::int64_t kChunkRows = kChunkTiles * kQueryTileRows;

// The most rows of the pooled map that are filled together. With 1024 columns their sums take 512 KiB.
inline constexpr std::int64_t kMostMapRows = 64;

struct SummaryTask {
  enum class Kind : std::uint8_t {
    kRows,          // what the weights of a row say, and the pooled map
    kCombinedRows,  // what the combined weights of all heads say
    kKeys,          // what keys receive
  };
  Kind kind = Kind::kRows;
  std::int64_t entry = 0;  // covered one
  std::int64_t part = 0;   // which of those that its entry and heads are cut into
  Range heads = {};        // covered ones: one, but all for combined rows
  Range rows = {};         // covered ones
  Range map_rows = {};     // the map's rows that these are; none without a map
  std::int64_t key_tile = 0;
};

// Where heads are reduced, each adds to what those before it made: a piece must wait until the same piece of the head
// before it is finished. Pieces come head after head, so that this is seldom. Not thread-safe.
class SummaryTasks {
 public:
  // Borrows the problem.
  explicit SummaryTasks(const Problem& problem);

  // Whether the next piece must wait.
  bool MustWait() const;
  // Until there are no more. Only where it need not wait.
  std::optional<SummaryTask> Next();
  // To be told of each.
  void Finish(const SummaryTask& task);

 private:
  using Kind = SummaryTask::Kind;
  static constexpr std::array kKinds = {Kind::kRows, Kind::kCombinedRows, Kind::kKeys};

  Kind kind() const { return kKinds[kind_]; }
  std::int64_t Parts() const;
  // Goes on to what has parts left.
  void Settle();
  bool AddsHeads() const { return layout_.reduces_heads() && kind() != Kind::kCombinedRows; }
  SummaryTask Make() const;
  // How many rows of the map are filled together.
  std::int64_t MapRowsOfTask(std::int64_t rows) const;

  const Problem& problem_;
  const SummaryLayout layout_;
  std::int64_t entry_ = 0;
  std::size_t kind_ = 0;
  std::int64_t head_ = 0;
  std::int64_t part_ = 0;
  // Of the entry and kind: for each part, how many heads have finished it.
  std::vector<std::int64_t> finished_heads_;
};

}  // namespace attnd::core

// Cuts the summaries of a problem into pieces. Each piece computes the scores that it needs again and fills results
// that no other one fills, so results depend neither on the order of the pieces nor on who runs them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

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
  Range heads = {};        // covered ones; all of them where heads are reduced
  Range rows = {};         // covered ones
  Range map_rows = {};     // the map's rows that these are; none without a map
  std::int64_t key_tile = 0;
};

// Not thread-safe.
class SummaryTasks {
 public:
  // Borrows the problem.
  explicit SummaryTasks(const Problem& problem);

  // Until there are no more.
  std::optional<SummaryTask> Next();

 private:
  using Kind = SummaryTask::Kind;
  static constexpr std::array kKinds = {Kind::kRows, Kind::kCombinedRows, Kind::kKeys};

  std::int64_t Parts() const;
  SummaryTask Make() const;
  // How many rows of the map are filled together.
  std::int64_t MapRowsOfTask(std::int64_t rows) const;

  const Problem& problem_;
  const SummaryLayout layout_;
  std::int64_t entry_ = 0;
  std::size_t kind_ = 0;
  std::int64_t head_ = 0;
  std::int64_t part_ = 0;
};

}  // namespace attnd::core

#include "core/summary_tasks.h"

#include <algorithm>
#include <cassert>

#include "core/pooled_cells.h"

namespace attnd::core {
namespace {

std::int64_t CeilingOf(std::int64_t dividend, std::int64_t divisor) { return (dividend + divisor - 1) / divisor; }

// What is said of combined weights rather than combined itself.
bool IsOfWholeRows(const SummaryOptions& s) { return s.matrix.has_value() || s.top_keys > 0; }

bool Needs(const SummaryOptions& s, SummaryTask::Kind kind) {
  const bool reduces = s.head_reduction != HeadReduction::kNone;
  switch (kind) {
    case SummaryTask::Kind::kRows:
      return s.entropy || s.largest_weight || s.first_keys > 0 || s.mean_distance || s.pooled_map.has_value() ||
             (!reduces && IsOfWholeRows(s));
    case SummaryTask::Kind::kCombinedRows:
      return reduces && IsOfWholeRows(s);
    case SummaryTask::Kind::kKeys:
      return s.received_sum || s.received_maximum;
  }
  return false;
}

}  // namespace

SummaryTasks::SummaryTasks(const Problem& problem) : problem_(problem), layout_(problem) {
  finished_heads_.assign(static_cast<std::size_t>(Parts()), 0);
  Settle();
}

void SummaryTasks::Settle() {
  while (entry_ < layout_.entries() && part_ == Parts()) {
    part_ = 0;
    if (kind() != Kind::kCombinedRows && ++head_ < layout_.heads()) continue;
    head_ = 0;
    if (++kind_ == kKinds.size()) {
      kind_ = 0;
      if (++entry_ == layout_.entries()) return;
    }
    finished_heads_.assign(static_cast<std::size_t>(Parts()), 0);
  }
}

bool SummaryTasks::MustWait() const {
  return entry_ < layout_.entries() && AddsHeads() && finished_heads_[static_cast<std::size_t>(part_)] < head_;
}

std::optional<SummaryTask> SummaryTasks::Next() {
  assert(!MustWait());
  if (entry_ == layout_.entries()) return std::nullopt;
  const SummaryTask task = Make();
  ++part_;
  Settle();
  return task;
}

void SummaryTasks::Finish(const SummaryTask& task) {
  if (task.entry == entry_ && task.kind == kind()) ++finished_heads_[static_cast<std::size_t>(task.part)];
}

// Enough that few tiles of a task are cut short by the end of its rows.
std::int64_t SummaryTasks::MapRowsOfTask(std::int64_t rows) const {
  const std::int64_t map_rows = problem_.summaries.pooled_map->rows;
  return std::clamp(kChunkRows * map_rows / std::max<std::int64_t>(rows, 1), std::int64_t{1}, kMostMapRows);
}

std::int64_t SummaryTasks::Parts() const {
  if (!Needs(problem_.summaries, kind())) return 0;
  if (kind() == Kind::kKeys) return TilesOf(problem_.SequenceAt(layout_.BatchEntry(entry_))).key_tiles;
  const std::int64_t rows = layout_.Rows(entry_).size();
  if (kind() == Kind::kRows && problem_.summaries.pooled_map.has_value()) {
    return CeilingOf(problem_.summaries.pooled_map->rows, MapRowsOfTask(rows));
  }
  return CeilingOf(rows, kChunkRows);
}

SummaryTask SummaryTasks::Make() const {
  SummaryTask task{.kind = kind(), .entry = entry_, .part = part_, .heads = {.begin = head_, .end = head_ + 1}};
  if (task.kind == Kind::kCombinedRows) task.heads = {.begin = 0, .end = layout_.heads()};
  const Range rows = layout_.Rows(entry_);
  if (task.kind == Kind::kKeys) {
    task.rows = rows;
    task.key_tile = part_;
  } else if (task.kind == Kind::kRows && problem_.summaries.pooled_map.has_value()) {
    const std::int64_t map_rows = problem_.summaries.pooled_map->rows;
    const std::int64_t each = MapRowsOfTask(rows.size());
    task.map_rows = {.begin = part_ * each, .end = std::min((part_ + 1) * each, map_rows)};
    task.rows = {.begin = rows.begin + CellBegin(task.map_rows.begin, map_rows, rows.size()),
                 .end = rows.begin + CellBegin(task.map_rows.end, map_rows, rows.size())};
  } else {
    task.rows = {.begin = rows.begin + part_ * kChunkRows,
                 .end = std::min(rows.begin + (part_ + 1) * kChunkRows, rows.end)};
  }
  return task;
}

}  // namespace attnd::core

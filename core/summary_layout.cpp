#include "core/summary_layout.h"

#include <algorithm>
#include <vector>

namespace attnd::core {
namespace {

std::int64_t CountOf(const std::vector<std::int64_t>& chosen, std::int64_t all) {
  return chosen.empty() ? all : static_cast<std::int64_t>(chosen.size());
}

}  // namespace

SummaryLayout::SummaryLayout(const Problem& problem)
    : problem_(problem),
      entries_(CountOf(problem.summaries.batch_entries, problem.batch)),
      heads_(CountOf(problem.summaries.heads, problem.query_heads)),
      rows_(CountOf(problem.summaries.query_rows,
                    problem.is_ragged() ? problem.query_offsets.back() : problem.query_rows)),
      keys_(problem.is_ragged() ? problem.key_offsets.back() : problem.keys) {}

Range SummaryLayout::Rows(std::int64_t entry) const {
  if (!problem_.is_ragged()) return {.begin = 0, .end = rows_};
  const Sequence sequence = problem_.SequenceAt(BatchEntry(entry));
  const Range all{.begin = sequence.first_row, .end = sequence.first_row + sequence.rows};
  const std::vector<std::int64_t>& chosen = problem_.summaries.query_rows;
  if (chosen.empty()) return all;
  const auto first_from = [&](std::int64_t row) { return std::ranges::lower_bound(chosen, row) - chosen.begin(); };
  return {.begin = first_from(all.begin), .end = first_from(all.end)};
}

std::int64_t SummaryLayout::QueryRow(std::int64_t entry, std::int64_t row) const {
  const std::int64_t query_row = At(problem_.summaries.query_rows, row);
  if (!problem_.is_ragged()) return query_row;
  return query_row - problem_.query_offsets[static_cast<std::size_t>(BatchEntry(entry))];
}

std::int64_t SummaryLayout::RowIndex(std::int64_t entry, std::int64_t head, std::int64_t row) const {
  const std::int64_t heads = reduces_heads() ? 1 : heads_;
  return ((problem_.is_ragged() ? 0 : entry) * heads + head) * rows_ + row;
}

std::int64_t SummaryLayout::KeysIndex(std::int64_t entry, std::int64_t head) const {
  const std::int64_t heads = reduces_heads() ? 1 : heads_;
  if (!problem_.is_ragged()) return (entry * heads + head) * keys_;
  return head * keys_ + problem_.key_offsets[static_cast<std::size_t>(BatchEntry(entry))];
}

std::int64_t SummaryLayout::MapIndex(std::int64_t entry, std::int64_t head) const {
  const std::int64_t heads = reduces_heads() ? 1 : heads_;
  return (entry * heads + head) * problem_.summaries.pooled_map->rows * problem_.summaries.pooled_map->columns;
}

}  // namespace attnd::core

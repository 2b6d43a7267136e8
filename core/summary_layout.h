// Which batch entries, heads and rows summaries cover, and where their results lie. Pure functions.
#pragma once

#include <cstdint>

#include "core/plan.h"
#include "core/problem.h"

namespace attnd::core {

// Counts "covered" things: numbers of those that are chosen, from 0.
class SummaryLayout {
 public:
  // Borrows the problem.
  explicit SummaryLayout(const Problem& problem);

  bool reduces_heads() const { return problem_.summaries.head_reduction != HeadReduction::kNone; }
  std::int64_t entries() const { return entries_; }
  std::int64_t heads() const { return heads_; }
  std::int64_t BatchEntry(std::int64_t entry) const { return At(problem_.summaries.batch_entries, entry); }
  std::int64_t QueryHead(std::int64_t head) const { return At(problem_.summaries.heads, head); }

  // The covered rows that a covered entry has.
  Range Rows(std::int64_t entry) const;
  // The place of a covered row in its sequence.
  std::int64_t QueryRow(std::int64_t entry, std::int64_t row) const;

  // Where results lie, in elements: what has one for each row; the first key of what has one for each key; and a map.
  // `head` is 0 where heads are reduced.
  std::int64_t RowIndex(std::int64_t entry, std::int64_t head, std::int64_t row) const;
  std::int64_t KeysIndex(std::int64_t entry, std::int64_t head) const;
  std::int64_t MapIndex(std::int64_t entry, std::int64_t head) const;

 private:
  static std::int64_t At(const std::vector<std::int64_t>& chosen, std::int64_t number) {
    return chosen.empty() ? number : chosen[static_cast<std::size_t>(number)];
  }

  const Problem& problem_;
  std::int64_t entries_ = 0;
  std::int64_t heads_ = 0;
  // All covered rows that one dimension of the results has; and the keys.
  std::int64_t rows_ = 0;
  std::int64_t keys_ = 0;
};

}  // namespace attnd::core

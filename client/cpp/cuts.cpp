#include "client/cpp/cuts.h"

#include <absl/functional/function_ref.h>

#include <algorithm>

namespace attnd {
namespace {

// Fewer query rows than this are not worth that all their keys are sent for them. It is also what a server computes at
// once, so that cuts at its multiples leave no small rests.
constexpr std::int64_t kRowUnit = 64;
// What a server computes at once, counted from the first key that it gets.
constexpr std::int64_t kKeyUnit = 256;

// All fields of a message but tensors, key lengths and causal offsets; those take up to ten bytes a number.
constexpr std::int64_t kSmallFieldsSizeBytes = 1024;
constexpr std::int64_t kNumbersSizeBytes = 20;

std::int64_t ElementCount(const Box& box) {
  std::int64_t count = 1;
  for (const Range& range : box) count *= range.size();
  return count;
}

// The largest number from 0 to `count` of which `fits` is true. It must be true up to some number, and false beyond.
std::int64_t LargestFitting(std::int64_t count, absl::FunctionRef<bool(std::int64_t)> fits) {
  std::int64_t good = 0;
  for (std::int64_t bad = count + 1; bad - good > 1;) {
    const std::int64_t middle = good + (bad - good) / 2;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

std::int64_t RoundUp(std::int64_t size, std::int64_t unit) { return (size + unit - 1) / unit * unit; }

// The fewest ranges of at most `largest`, of about the same size, cut at multiples of the unit. `largest` is such a
// multiple, or the whole size.
std::vector<Range> Split(Range whole, std::int64_t largest, std::int64_t unit) {
  const std::int64_t count = (whole.size() + largest - 1) / largest;
  const std::int64_t size = RoundUp((whole.size() + count - 1) / count, unit);
  std::vector<Range> ranges;
  for (std::int64_t begin = whole.begin; begin < whole.end; begin += size) {
    ranges.push_back({begin, std::min(begin + size, whole.end)});
  }
  return ranges;
}

class Cutter {
 public:
  Cutter(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t limit_bytes)
      : request_(request), sizes_(sizes), limit_bytes_(limit_bytes) {}

  std::vector<Piece> Cut() && {
    const Piece whole = WholeProblem(sizes_);
    const std::int64_t entries =
        LargestFitting(sizes_.batch, [&](std::int64_t count) { return Fits(WithBatch(whole, {0, count})); });
    for (const Range& batch : Split(whole.batch, std::max<std::int64_t>(entries, 1), 1)) {
      const Piece piece = WithBatch(whole, batch);
      if (entries > 0) {
        pieces_.push_back(piece);
      } else {
        CutEntry(piece);
      }
    }
    return std::move(pieces_);
  }

 private:
  bool Fits(const Piece& piece) const { return MessageSizeBytes(request_, piece) <= limit_bytes_; }

  static Piece WithBatch(Piece piece, Range batch) {
    piece.batch = batch;
    return piece;
  }
  Piece WithGroups(Piece piece, Range key_value_heads) const {
    const std::int64_t queries = sizes_.query_heads_per_group();
    piece.key_value_heads = key_value_heads;
    piece.query_heads = {key_value_heads.begin * queries, key_value_heads.end * queries};
    return piece;
  }
  static Piece WithQueryHeads(Piece piece, Range query_heads) {
    piece.query_heads = query_heads;
    return piece;
  }
  // For a piece of one batch entry: with all keys that the rows may see and that their result depends on.
  Piece WithRows(Piece piece, Range query_rows) const {
    piece.query_rows = query_rows;
    const bool all_count = request_.empty_row == EmptyRow::kMeanOfAllValues &&
                           (request_.mask.boolean || VisibleEnd(piece, query_rows.begin) == 0);
    // A request has at least one key.
    const std::int64_t end = all_count ? sizes_.keys : std::max<std::int64_t>(VisibleEnd(piece, query_rows.end - 1), 1);
    piece.keys = piece.keys_of_rows = {0, end};
    return piece;
  }
  static Piece WithKeys(Piece piece, Range keys) {
    piece.keys = keys;
    return piece;
  }
  std::int64_t VisibleEnd(const Piece& piece, std::int64_t row) const {
    return VisibleKeysEnd(request_, sizes_, piece.batch.begin, row);
  }

  void CutEntry(const Piece& entry) {
    const std::int64_t heads =
        LargestFitting(sizes_.key_value_heads, [&](std::int64_t count) { return Fits(WithGroups(entry, {0, count})); });
    for (const Range& range : Split(entry.key_value_heads, std::max<std::int64_t>(heads, 1), 1)) {
      const Piece piece = WithGroups(entry, range);
      if (heads > 0) {
        pieces_.push_back(piece);
      } else {
        CutGroup(WithRows(piece, piece.query_rows));
      }
    }
  }

  // One key and value head with the query heads that read it.
  void CutGroup(const Piece& group) {
    const Range all = group.query_heads;
    const std::int64_t heads = LargestFitting(
        all.size(), [&](std::int64_t count) { return Fits(WithQueryHeads(group, {all.begin, all.begin + count})); });
    if (heads > 0) {
      for (const Range& range : Split(all, heads, 1)) pieces_.push_back(WithQueryHeads(group, range));
      return;
    }
    const Piece head = WithQueryHeads(group, {all.begin, all.begin + 1});
    const std::int64_t rows = RowsThatFit(head, limit_bytes_);
    if (rows == 0) {
      CutKeys(group);
      return;
    }
    for (std::int64_t index = all.begin; index < all.end; ++index) {
      for (const Range& range : Split(group.query_rows, rows, kRowUnit)) {
        pieces_.push_back(WithRows(WithQueryHeads(group, {index, index + 1}), range));
      }
    }
  }

  // How many query rows fit beside the keys of the piece: all, or a multiple of the unit, which may be 0.
  std::int64_t RowsThatFit(Piece piece, std::int64_t limit_bytes) const {
    const std::int64_t rows = LargestFitting(sizes_.query_rows, [&](std::int64_t count) {
      piece.query_rows = {0, count};
      return MessageSizeBytes(request_, piece) <= limit_bytes;
    });
    return rows == sizes_.query_rows ? rows : rows / kRowUnit * kRowUnit;
  }

  // Half of a message for query rows, which go with each range of keys, and the rest for keys, which go with each range
  // of rows.
  void CutKeys(const Piece& group) {
    const Piece first = WithKeys(group, {0, std::min(kKeyUnit, group.keys.end)});
    std::int64_t heads = group.query_heads.size();
    std::int64_t rows = RowsThatFit(first, limit_bytes_ / 2);
    if (rows < sizes_.query_rows) {
      heads = 1;
      const Piece head = WithQueryHeads(first, {group.query_heads.begin, group.query_heads.begin + 1});
      rows = std::max(RowsThatFit(head, limit_bytes_ / 2), std::min(kRowUnit, sizes_.query_rows));
    }
    for (const Range& query_heads : Split(group.query_heads, heads, 1)) {
      for (const Range& query_rows : Split(group.query_rows, rows, kRowUnit)) {
        CutKeysOfRows(WithRows(WithQueryHeads(group, query_heads), query_rows));
      }
    }
  }

  void CutKeysOfRows(const Piece& piece) {
    if (Fits(piece)) {
      pieces_.push_back(piece);
      return;
    }
    const std::int64_t all = piece.keys.end;
    std::int64_t keys = LargestFitting(all, [&](std::int64_t count) { return Fits(WithKeys(piece, {0, count})); });
    if (keys < all) keys = std::max(keys / kKeyUnit, std::int64_t{1}) * kKeyUnit;
    for (const Range& range : Split(piece.keys, keys, kKeyUnit)) pieces_.push_back(WithKeys(piece, range));
  }

  const AttendRequest& request_;
  const ProblemSizes& sizes_;
  const std::int64_t limit_bytes_;
  std::vector<Piece> pieces_;
};

}  // namespace

std::int64_t MessageSizeBytes(const AttendRequest& request, const Piece& piece) {
  // As piece_request.h makes it: keys are cut in float32 and with log-sum-exp.
  const auto element_size_bytes = static_cast<std::int64_t>(
      ElementSizeBytes(piece.is_key_range() ? ElementType::kFloat32 : request.query.element_type));
  constexpr std::int64_t kFloat32SizeBytes = sizeof(float);
  std::int64_t request_bytes =
      element_size_bytes * (ElementCount(QueryBox(request, piece)) + ElementCount(KeyBox(request, piece)) +
                            ElementCount(ValueBox(request, piece)));
  if (request.mask.boolean) request_bytes += ElementCount(MaskBox(request, piece));
  std::int64_t answer_bytes = element_size_bytes * ElementCount(OutputBox(request, piece));
  if (request.return_weights) answer_bytes += kFloat32SizeBytes * ElementCount(WeightsBox(request, piece, piece.keys));
  if (request.return_log_sum_exp || piece.is_key_range()) {
    answer_bytes += kFloat32SizeBytes * ElementCount(LogSumExpBox(request, piece));
  }
  return std::max(request_bytes, answer_bytes) + kSmallFieldsSizeBytes + kNumbersSizeBytes * piece.batch.size();
}

std::vector<Piece> Cut(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t limit_bytes) {
  return Cutter(request, sizes, limit_bytes).Cut();
}

}  // namespace attnd

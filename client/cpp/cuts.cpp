#include "client/cpp/cuts.h"

#include <absl/functional/function_ref.h>

#include <algorithm>

#include "client/cpp/request_tensors.h"

namespace attnd {
namespace {

// Keys that no row of a piece sees are left out before those that they see, too, but only so many at a time: a multiple
// of whatever a server computes at once, so that it changes no bits.
constexpr std::int64_t kSkippedKeysUnit = 4096;

// All fields of a message but tensors and numbers for each batch entry or head …
constexpr std::int64_t kSmallFieldsSizeBytes = 1024;
// … of which an entry has up to four (offset, key, query and prefix length) of up to ten bytes, …
constexpr std::int64_t kNumbersOfEntrySizeBytes = 40;
// … and a query head two (slope and sink) of four.
constexpr std::int64_t kNumbersOfHeadSizeBytes = 8;

std::int64_t ElementCount(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::int64_t ElementCount(const Box& box) { return ElementCount(ShapeOf(box)); }

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
    piece.keys = piece.keys_of_rows = KeysOf(piece.batch.begin, query_rows);
    return piece;
  }
  Range KeysOf(std::int64_t batch, Range rows) const {
    // A request has at least one key.
    constexpr Range kFirst = {0, 1};
    rows.end = std::min(rows.end, QueryLength(request_, sizes_, batch));
    if (rows.begin >= rows.end) return kFirst;
    const Range of_first = VisibleKeys(request_, sizes_, batch, rows.begin);
    const Range of_last = VisibleKeys(request_, sizes_, batch, rows.end - 1);
    const bool all_see_keys = of_first.size() > 0 && of_last.size() > 0 && !HasOtherMasks(request_);
    if (request_.empty_row == EmptyRow::kMeanOfAllValues && !all_see_keys) return {0, sizes_.keys};
    const Range seen = {of_first.begin / kSkippedKeysUnit * kSkippedKeysUnit, of_last.end};
    return seen.size() > 0 ? seen : kFirst;
  }
  static Piece WithKeys(Piece piece, Range keys) {
    piece.keys = keys;
    return piece;
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
    const std::int64_t rows = RowsThatFit(head);
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

  // How many query rows fit beside the keys that they see, wherever they are: all, or a multiple of the unit, which may
  // be 0.
  std::int64_t RowsThatFit(const Piece& head) const {
    const std::int64_t units = LargestFitting(RoundUp(sizes_.query_rows, kRowUnit) / kRowUnit, [&](std::int64_t count) {
      return std::ranges::all_of(Split(head.query_rows, std::min(count * kRowUnit, sizes_.query_rows), kRowUnit),
                                 [&](const Range& rows) { return Fits(WithRows(head, rows)); });
    });
    return std::min(units * kRowUnit, sizes_.query_rows);
  }

  // The same beside the keys that the piece has, in half of a message.
  std::int64_t RowsInHalf(Piece piece) const {
    const std::int64_t rows = LargestFitting(sizes_.query_rows, [&](std::int64_t count) {
      piece.query_rows = {0, count};
      return MessageSizeBytes(request_, piece) <= limit_bytes_ / 2;
    });
    return rows == sizes_.query_rows ? rows : rows / kRowUnit * kRowUnit;
  }

  // Half of a message for query rows, which go with each range of keys, and the rest for keys, which go with each range
  // of rows.
  void CutKeys(const Piece& group) {
    const Piece first = WithKeys(group, {group.keys.begin, std::min(group.keys.begin + kKeyUnit, group.keys.end)});
    std::int64_t heads = group.query_heads.size();
    std::int64_t rows = RowsInHalf(first);
    if (rows < sizes_.query_rows) {
      heads = 1;
      const Piece head = WithQueryHeads(first, {group.query_heads.begin, group.query_heads.begin + 1});
      rows = std::max(RowsInHalf(head), std::min(kRowUnit, sizes_.query_rows));
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
    const std::int64_t all = piece.keys.size();
    const std::int64_t begin = piece.keys.begin;
    std::int64_t keys =
        LargestFitting(all, [&](std::int64_t count) { return Fits(WithKeys(piece, {begin, begin + count})); });
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
  const auto element_size_bytes = [&](ElementType type) {
    const bool is_widened = piece.is_key_range() && type != ElementType::kInt32 && type != ElementType::kBool;
    return static_cast<std::int64_t>(ElementSizeBytes(is_widened ? ElementType::kFloat32 : type));
  };
  std::int64_t request_bytes = 0;
  for (const InputTensor& tensor : InputTensors()) {
    const TensorView* const view = FindView(request, tensor.input);
    if (view == nullptr) continue;
    request_bytes += element_size_bytes(view->element_type) * ElementCount(ShapeOfPart(request, tensor.input, piece));
  }
  constexpr std::int64_t kFloat32SizeBytes = sizeof(float);
  std::int64_t answer_bytes = element_size_bytes(request.query.element_type) * ElementCount(OutputBox(request, piece));
  if (request.return_weights) answer_bytes += kFloat32SizeBytes * ElementCount(WeightsBox(request, piece, piece.keys));
  if (request.return_log_sum_exp || piece.is_key_range()) {
    answer_bytes += kFloat32SizeBytes * ElementCount(LogSumExpBox(request, piece));
  }
  return std::max(request_bytes, answer_bytes) + kSmallFieldsSizeBytes + kNumbersOfEntrySizeBytes * piece.batch.size() +
         kNumbersOfHeadSizeBytes * piece.query_heads.size();
}

std::vector<Piece> Cut(const AttendRequest& request, const ProblemSizes& sizes, std::int64_t limit_bytes) {
  return Cutter(request, sizes, limit_bytes).Cut();
}

}  // namespace attnd

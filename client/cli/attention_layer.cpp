#include "client/cli/attention_layer.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <utility>
#include <vector>

namespace attnd::cli {
namespace {

constexpr char kPaddingToken[] = "[PAD]";
constexpr char kPooledMap[] = "pooled_map";

absl::Status CheckIndex(const char* name, std::int64_t index, std::int64_t count) {
  if (index >= 0 && index < count) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", name, " is ", index, ", expected 0 to ", count - 1));
}

// A tensor that lies beside a pooled map, and which of its dimensions is looked for, counted from the last one, 1.
struct Sibling {
  const char* name;
  std::size_t dimension_from_last;
};

// The dimension of the first of these that the file has beside the pooled map.
std::optional<std::int64_t> SiblingSize(const Inputs& inputs, const std::string& pooled_map,
                                        std::initializer_list<Sibling> siblings) {
  if (!absl::EndsWith(pooled_map, kPooledMap)) return std::nullopt;
  const std::string before = pooled_map.substr(0, pooled_map.size() - std::size(kPooledMap) + 1);
  for (const Sibling& sibling : siblings) {
    const auto found = inputs.tensors().find(before + sibling.name);
    if (found == inputs.tensors().end()) continue;
    const Shape& shape = found->second.shape;
    if (shape.size() >= sibling.dimension_from_last) return shape[shape.size() - sibling.dimension_from_last];
  }
  return std::nullopt;
}

std::optional<std::int64_t> CountOf(const std::vector<std::string>& tokens) {
  if (tokens.empty()) return std::nullopt;
  return static_cast<std::int64_t>(tokens.size());
}

// What each of `cells` covers of `total`, as attention.proto says of PooledMap; without a total the cell's number.
std::vector<std::string> RangeLabels(std::int64_t cells, std::optional<std::int64_t> total) {
  std::vector<std::string> labels;
  for (std::int64_t cell = 0; cell < cells; ++cell) {
    if (!total) {
      labels.push_back(std::to_string(cell));
      continue;
    }
    const std::int64_t first = cell * *total / cells;
    const std::int64_t last = (cell + 1) * *total / cells - 1;
    labels.push_back(first > last ? "none" : first == last ? std::to_string(first) : absl::StrCat(first, "–", last));
  }
  return labels;
}

}  // namespace

absl::StatusOr<AttentionLayer> AttentionLayer::Open(Inputs& inputs, const LayerSelection& selection) {
  const auto array = inputs.Get(selection.names.tensor);
  if (!array.ok()) return array.status();
  AttentionLayer layer(selection);
  if (absl::Status status = layer.SelectBatch(*array); !status.ok()) return status;
  const auto tokens = ReadTokens(inputs, selection.tokens, selection.batch);
  if (!tokens.ok()) return tokens.status();
  const absl::Status labelled = selection.kind == Kind::kTop      ? layer.LabelTop(inputs, *tokens)
                                : selection.kind == Kind::kPooled ? layer.LabelPooled(inputs, *tokens)
                                                                  : layer.LabelWeights(inputs, *tokens);
  if (!labelled.ok()) return labelled;
  return layer;
}

absl::Status AttentionLayer::SelectBatch(const Array& array) {
  const std::size_t rank = array.shape.size();
  if (rank < 2 || rank > 4) {
    const char* const expected = selection_.kind == Kind::kTop      ? "[.., Sq, k]"
                                 : selection_.kind == Kind::kPooled ? "[.., rows, columns]"
                                                                    : "[.., Sq, Sk]";
    return absl::InvalidArgumentError(absl::StrCat(selection_.names.tensor, ": shape is ", ToString(array.shape),
                                                   ", expected rank 2, 3 or 4: ", expected));
  }
  if (absl::Status status = CheckIndex("batch", selection_.batch, rank > 2 ? array.shape[0] : 1); !status.ok()) {
    return status;
  }
  array_ = array;
  heads_ = rank > 3 ? array.shape[1] : 1;
  first_head_ = selection_.batch * heads_;
  array_rows_ = array.shape[rank - 2];
  array_columns_ = array.shape[rank - 1];
  return absl::OkStatus();
}

absl::Status AttentionLayer::LabelWeights(Inputs& inputs, const Tokens& tokens) {
  auto labels = LabelsFor(tokens, array_rows_, array_columns_);
  if (!labels.ok()) return labels.status();
  labels_ = *std::move(labels);
  return LeavePaddingOut(inputs);
}

absl::Status AttentionLayer::LabelTop(Inputs& inputs, const Tokens& tokens) {
  const auto weights = inputs.Get(selection_.names.top_weights);
  if (!weights.ok()) return weights.status();
  if (weights->shape != array_.shape) {
    return absl::InvalidArgumentError(absl::StrCat(selection_.names.top_weights, ": shape is ",
                                                   ToString(weights->shape), ", expected ", ToString(array_.shape),
                                                   " as of ", selection_.names.tensor));
  }
  top_weights_ = *weights;
  const auto keys = ToIntegers(array_, selection_.names.tensor);
  if (!keys.ok()) return keys.status();
  const std::int64_t largest = keys->empty() ? -1 : *std::max_element(keys->begin(), keys->end());
  const std::int64_t smallest = keys->empty() ? -1 : *std::min_element(keys->begin(), keys->end());
  if (smallest < -1 || largest > INT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat(selection_.names.tensor, ": holds key ",
                                                   smallest < -1 ? smallest : largest, ", expected -1 to ", INT32_MAX));
  }
  // Where nothing tells how many keys there are, at least as many as queries are taken to be.
  const std::int64_t key_count = std::max(largest + 1, CountOf(tokens.of_keys()).value_or(array_rows_));
  auto labels = LabelsFor(tokens, array_rows_, key_count);
  if (!labels.ok()) return labels.status();
  labels_ = *std::move(labels);
  return LeavePaddingOut(inputs);
}

absl::Status AttentionLayer::LabelPooled(const Inputs& inputs, const Tokens& tokens) {
  const std::string& name = selection_.names.tensor;
  auto rows = SiblingSize(inputs, name,
                          {{"matrix", 2}, {"top_keys", 2}, {"entropy", 1}, {"largest_weight", 1}, {"weights", 2}});
  auto columns =
      SiblingSize(inputs, name, {{"matrix", 1}, {"received_sum", 1}, {"received_maximum", 1}, {"weights", 1}});
  labels_.queries = RangeLabels(array_rows_, rows ? rows : CountOf(tokens.queries));
  labels_.keys = RangeLabels(array_columns_, columns ? columns : CountOf(tokens.of_keys()));
  return absl::OkStatus();
}

// How many of the keys are not padding.
absl::StatusOr<std::int64_t> AttentionLayer::KeyCount(Inputs& inputs, const std::vector<std::string>& keys) const {
  const auto count = static_cast<std::int64_t>(keys.size());
  if (!inputs.tensors().contains(selection_.key_lengths)) {
    const auto last = std::find_if(keys.rbegin(), keys.rend(), [](const auto& key) { return key != kPaddingToken; });
    return static_cast<std::int64_t>(keys.rend() - last);
  }
  const auto array = inputs.Get(selection_.key_lengths);
  if (!array.ok()) return array.status();
  const auto lengths = ToIntegers(*array, selection_.key_lengths);
  if (!lengths.ok()) return lengths.status();
  if (selection_.batch >= static_cast<std::int64_t>(lengths->size())) {
    return absl::InvalidArgumentError(absl::StrCat(selection_.key_lengths, ": has ", lengths->size(),
                                                   " lengths, none for batch entry ", selection_.batch));
  }
  return std::clamp<std::int64_t>((*lengths)[static_cast<std::size_t>(selection_.batch)], 0, count);
}

absl::Status AttentionLayer::LeavePaddingOut(Inputs& inputs) {
  const auto key_count = KeyCount(inputs, labels_.keys);
  if (!key_count.ok()) return key_count.status();
  const bool same_tokens = labels_.queries.size() == labels_.keys.size();
  labels_.keys.resize(static_cast<std::size_t>(*key_count));
  if (same_tokens) labels_.queries.resize(labels_.keys.size());
  return absl::OkStatus();
}

absl::Status AttentionLayer::CheckHead(std::int64_t head) const { return CheckIndex("head", head, heads_); }

absl::StatusOr<double> AttentionLayer::WeightAt(const Array& array, const std::string& name, std::int64_t head,
                                                std::int64_t row, std::int64_t column) const {
  const double weight = ElementAsFloat64(array, IndexOf(head, row, column));
  if (!(weight < 0)) return weight;
  const char* const what = selection_.kind == Kind::kTop      ? ", place "
                           : selection_.kind == Kind::kPooled ? ", column "
                                                              : ", key ";
  return absl::InvalidArgumentError(absl::StrCat(name, ": holds ", weight,
                                                 selection_.kind == Kind::kPooled ? " at row " : " at query ", row,
                                                 what, column, ", expected weights, which are not below 0"));
}

absl::StatusOr<HeatMap> AttentionLayer::Map(std::int64_t head) const {
  if (absl::Status status = CheckHead(head); !status.ok()) return status;
  HeatMap map{
      .rows = rows(), .columns = columns(), .values = {}, .row_labels = labels_.queries, .column_labels = labels_.keys};
  map.values.reserve(static_cast<std::size_t>(map.rows * map.columns));
  for (std::int64_t row = 0; row < map.rows; ++row) {
    for (std::int64_t column = 0; column < map.columns; ++column) {
      const auto weight = WeightAt(array_, selection_.names.tensor, head, row, column);
      if (!weight.ok()) return weight.status();
      map.values.push_back(*weight);
    }
  }
  return map;
}

absl::StatusOr<TopKeys> AttentionLayer::Top(std::int64_t head) const {
  if (absl::Status status = CheckHead(head); !status.ok()) return status;
  TopKeys top{.rows = rows(),
              .k = array_columns_,
              .columns = columns(),
              .keys = {},
              .weights = {},
              .row_labels = labels_.queries,
              .column_labels = labels_.keys};
  for (std::int64_t row = 0; row < top.rows; ++row) {
    for (std::int64_t place = 0; place < top.k; ++place) {
      const auto weight = WeightAt(top_weights_, selection_.names.top_weights, head, row, place);
      if (!weight.ok()) return weight.status();
      const auto key = static_cast<std::int32_t>(ElementAsFloat64(array_, IndexOf(head, row, place)));
      top.keys.push_back(key < top.columns ? key : -1);  // padding is not shown
      top.weights.push_back(*weight);
    }
  }
  return top;
}

absl::StatusOr<HeatMap> AttentionLayer::Pooled(std::int64_t head, std::int64_t row_factor,
                                               std::int64_t column_factor) const {
  if (kind() == Kind::kTop) {
    const auto top = Top(head);
    if (!top.ok()) return top.status();
    return Pool(*top, row_factor, column_factor);
  }
  auto map = Map(head);
  if (!map.ok() || (row_factor == 1 && column_factor == 1)) return map;
  return Pool(*map, row_factor, column_factor);
}

}  // namespace attnd::cli

// One layer's attention as a file holds it, of which heads are taken one by one.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/attention_file.h"
#include "client/cli/attention_map.h"
#include "client/cli/inputs.h"
#include "client/cli/tokens.h"

namespace attnd::cli {

struct LayerSelection {
  Kind kind = Kind::kWeights;
  LayerNames names;  // of tensors of rank 2, 3 or 4: without heads, without batch and heads
  std::int64_t batch = 0;
  TokenSources tokens;
  std::string key_lengths;  // a tensor; where the file has none of that name, [PAD] tokens tell the length
};

// Borrows what `inputs` holds.
class AttentionLayer {
 public:
  // Padding is left out, of the queries too where they are as many as the keys: they are then taken to be the same
  // tokens. INVALID_ARGUMENT or NOT_FOUND where the file has not what was selected, or it cannot be attention.
  static absl::StatusOr<AttentionLayer> Open(Inputs& inputs, const LayerSelection& selection);

  Kind kind() const { return selection_.kind; }
  const LayerNames& names() const { return selection_.names; }
  std::int64_t head_count() const { return heads_; }
  std::int64_t rows() const { return static_cast<std::int64_t>(labels_.queries.size()); }
  std::int64_t columns() const { return static_cast<std::int64_t>(labels_.keys.size()); }
  // k of top keys.
  std::int64_t places() const { return array_columns_; }
  // Of the tensor.
  const Shape& shape() const { return array_.shape; }
  const Labels& labels() const { return labels_; }

  // INVALID_ARGUMENT with the option's name in its text where there is no such head.
  absl::Status CheckHead(std::int64_t head) const;

  // Of weights and pooled maps. INVALID_ARGUMENT where one is below 0.
  absl::StatusOr<HeatMap> Map(std::int64_t head) const;

  // Of top keys. INVALID_ARGUMENT where a weight is below 0.
  absl::StatusOr<TopKeys> Top(std::int64_t head) const;

  // Of any kind, with so many rows and columns as one.
  absl::StatusOr<HeatMap> Pooled(std::int64_t head, std::int64_t row_factor, std::int64_t column_factor) const;

 private:
  explicit AttentionLayer(LayerSelection selection) : selection_(std::move(selection)) {}

  absl::Status SelectBatch(const Array& array);
  absl::Status LabelWeights(Inputs& inputs, const Tokens& tokens);
  absl::Status LabelTop(Inputs& inputs, const Tokens& tokens);
  absl::Status LabelPooled(const Inputs& inputs, const Tokens& tokens);
  absl::StatusOr<std::int64_t> KeyCount(Inputs& inputs, const std::vector<std::string>& keys) const;
  absl::Status LeavePaddingOut(Inputs& inputs);
  // An element of the selected batch entry.
  std::int64_t IndexOf(std::int64_t head, std::int64_t row, std::int64_t column) const {
    return ((first_head_ + head) * array_rows_ + row) * array_columns_ + column;
  }
  absl::StatusOr<double> WeightAt(const Array& array, const std::string& name, std::int64_t head, std::int64_t row,
                                  std::int64_t column) const;

  LayerSelection selection_;
  Array array_;        // weights, pooled map or top keys
  Array top_weights_;  // of top keys
  std::int64_t heads_ = 1;
  std::int64_t first_head_ = 0;  // of the batch entry, counted over all of them
  std::int64_t array_rows_ = 0;
  std::int64_t array_columns_ = 0;
  Labels labels_;  // of what is shown
};

}  // namespace attnd::cli

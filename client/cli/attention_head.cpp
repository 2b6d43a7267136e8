#include "client/cli/attention_head.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace attnd::cli {
namespace {

constexpr char kPaddingToken[] = "[PAD]";

// [Sq, Sk] as a part of a larger array.
struct Matrix {
  Array array;
  std::int64_t first = 0;  // index of its first element
  std::int64_t rows = 0;
  std::int64_t columns = 0;
};

absl::Status CheckIndex(const char* name, std::int64_t index, std::int64_t count) {
  if (index >= 0 && index < count) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", name, " is ", index, ", expected 0 to ", count - 1));
}

absl::StatusOr<Matrix> SelectMatrix(const Array& array, const HeadSelection& selection) {
  const std::size_t rank = array.shape.size();
  if (rank < 2 || rank > 4) {
    return absl::InvalidArgumentError(absl::StrCat(selection.weights, ": shape is ", ToString(array.shape),
                                                   ", expected rank 2, 3 or 4: [.., Sq, Sk]"));
  }
  const std::int64_t batches = rank > 2 ? array.shape[0] : 1;
  const std::int64_t heads = rank > 3 ? array.shape[1] : 1;
  if (const absl::Status status = CheckIndex("batch", selection.batch, batches); !status.ok()) return status;
  if (const absl::Status status = CheckIndex("head", selection.head, heads); !status.ok()) return status;
  Matrix matrix{.array = array, .rows = array.shape[rank - 2], .columns = array.shape[rank - 1]};
  matrix.first = (selection.batch * heads + selection.head) * matrix.rows * matrix.columns;
  return matrix;
}

// The batch entry's tokens; empty where the file has none.
absl::StatusOr<std::vector<std::string>> Tokens(const Inputs& inputs, const HeadSelection& selection) {
  const auto metadata = inputs.metadata().find(selection.tokens_metadata);
  if (metadata == inputs.metadata().end()) return std::vector<std::string>();
  const auto json = nlohmann::json::parse(metadata->second, nullptr, /*allow_exceptions=*/false);
  const auto malformed = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat("metadata \"", selection.tokens_metadata, "\": ", what,
                                                   ", expected a JSON list of lists of strings"));
  };
  if (!json.is_array()) return malformed("no JSON list");
  const auto batch = static_cast<std::size_t>(selection.batch);
  if (batch >= json.size()) return malformed(absl::StrCat("has ", json.size(), " lists, none for batch entry ", batch));
  if (!json[batch].is_array()) return malformed(absl::StrCat("entry ", batch, " is no list"));
  std::vector<std::string> tokens;
  for (const auto& token : json[batch]) {
    if (!token.is_string()) return malformed("a token is no string");
    tokens.push_back(token.get<std::string>());
  }
  return tokens;
}

// How many of the keys are not padding.
absl::StatusOr<std::int64_t> KeyCount(Inputs& inputs, const HeadSelection& selection,
                                      const std::vector<std::string>& tokens, std::int64_t keys) {
  if (inputs.tensors().contains(selection.key_lengths)) {
    const auto array = inputs.Get(selection.key_lengths);
    if (!array.ok()) return array.status();
    const auto lengths = ToIntegers(*array, selection.key_lengths);
    if (!lengths.ok()) return lengths.status();
    if (selection.batch >= static_cast<std::int64_t>(lengths->size())) {
      return absl::InvalidArgumentError(absl::StrCat(selection.key_lengths, ": has ", lengths->size(),
                                                     " lengths, none for batch entry ", selection.batch));
    }
    return std::clamp<std::int64_t>((*lengths)[static_cast<std::size_t>(selection.batch)], 0, keys);
  }
  if (static_cast<std::int64_t>(tokens.size()) != keys) return keys;
  const auto last =
      std::find_if(tokens.rbegin(), tokens.rend(), [](const auto& token) { return token != kPaddingToken; });
  return static_cast<std::int64_t>(tokens.rend() - last);
}

// The tokens where there is one for each of `all`, else numbers.
std::vector<std::string> Labels(const std::vector<std::string>& tokens, std::int64_t all, std::int64_t count) {
  std::vector<std::string> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    const bool has_token = static_cast<std::int64_t>(tokens.size()) == all;
    labels.push_back(has_token ? tokens[static_cast<std::size_t>(i)] : std::to_string(i));
  }
  return labels;
}

}  // namespace

absl::StatusOr<HeatMap> SelectHead(Inputs& inputs, const HeadSelection& selection) {
  const auto array = inputs.Get(selection.weights);
  if (!array.ok()) return array.status();
  const auto matrix = SelectMatrix(*array, selection);
  if (!matrix.ok()) return matrix.status();
  const auto tokens = Tokens(inputs, selection);
  if (!tokens.ok()) return tokens.status();
  const auto key_count = KeyCount(inputs, selection, *tokens, matrix->columns);
  if (!key_count.ok()) return key_count.status();

  const bool same_tokens = matrix->rows == matrix->columns;
  HeatMap map{.rows = same_tokens ? *key_count : matrix->rows,
              .columns = *key_count,
              .values = {},
              .row_labels = {},
              .column_labels = {}};
  map.row_labels = Labels(same_tokens ? *tokens : std::vector<std::string>(), matrix->rows, map.rows);
  map.column_labels = Labels(*tokens, matrix->columns, map.columns);
  for (std::int64_t row = 0; row < map.rows; ++row) {
    for (std::int64_t column = 0; column < map.columns; ++column) {
      const double weight = ElementAsFloat64(matrix->array, matrix->first + row * matrix->columns + column);
      if (weight < 0) {
        return absl::InvalidArgumentError(absl::StrCat(selection.weights, ": holds ", weight, " at query ", row,
                                                       ", key ", column, ", expected weights, which are not below 0"));
      }
      map.values.push_back(weight);
    }
  }
  return map;
}

}  // namespace attnd::cli

#include "client/cpp/assembly.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <string>
#include <utility>
#include <vector>

#include "client/cpp/box.h"
#include "client/cpp/small_float.h"

namespace attnd {
namespace {

float* Floats(Tensor& tensor) { return reinterpret_cast<float*>(tensor.data()); }

// To "A" or "A, B", unless it is there.
void AddName(const std::string& name, std::string& names) {
  if (name.empty() || absl::StrContains(absl::StrCat(", ", names, ", "), absl::StrCat(", ", name, ", "))) return;
  absl::StrAppend(&names, names.empty() ? "" : ", ", name);
}

}  // namespace

absl::StatusOr<Assembly> Assembly::Create(const AttendRequest& request, const ProblemSizes& sizes) {
  Assembly assembly(request, sizes);
  const Piece whole = WholeProblem(sizes);
  auto output = Tensor::Create(request.query.element_type, ShapeOf(OutputBox(request, whole)), "output");
  if (!output.ok()) return output.status();
  assembly.result_.output = *std::move(output);
  if (request.return_weights) {
    auto weights = Tensor::Create(ElementType::kFloat32, ShapeOf(WeightsBox(request, whole, whole.keys)), "weights");
    if (!weights.ok()) return weights.status();
    assembly.result_.weights = *std::move(weights);
  }
  if (request.return_log_sum_exp) {
    auto log_sum_exp = Tensor::Create(ElementType::kFloat32, ShapeOf(LogSumExpBox(request, whole)), "log_sum_exp");
    if (!log_sum_exp.ok()) return log_sum_exp.status();
    assembly.result_.log_sum_exp = *std::move(log_sum_exp);
  }
  return assembly;
}

absl::Status Assembly::Add(const Piece& piece, const AttendResult& part) {
  AddReport(piece, part.report);
  if (result_.weights) AddWeights(piece, *part.weights);
  if (piece.is_key_range()) return AddKeyRange(piece, part);
  Put(part.output.view(), OutputBox(request_, piece), result_.output);
  if (result_.log_sum_exp) Put(part.log_sum_exp->view(), LogSumExpBox(request_, piece), *result_.log_sum_exp);
  return absl::OkStatus();
}

void Assembly::AddWeights(const Piece& piece, const Tensor& weights) {
  const auto hide = [&](Range keys) {
    if (keys.size() > 0) Clear(WeightsBox(request_, piece, keys), *result_.weights);
  };
  Put(weights.view(), WeightsBox(request_, piece, piece.keys), *result_.weights);
  // What no piece of these rows has, no row sees.
  if (piece.keys.begin == piece.keys_of_rows.begin) hide({0, piece.keys.begin});
  if (piece.keys.end == piece.keys_of_rows.end) hide({piece.keys.end, sizes_.keys});
}

absl::Status Assembly::AddKeyRange(const Piece& piece, const AttendResult& part) {
  if (piece.keys.begin == piece.keys_of_rows.begin) BeginKeyRanges(piece);
  merge_->Add(piece.keys, part.output.elements<float>(), part.log_sum_exp->elements<float>());
  return piece.keys.end == piece.keys_of_rows.end ? FinishKeyRanges(piece) : absl::OkStatus();
}

void Assembly::BeginKeyRanges(const Piece& piece) {
  std::vector<float> sinks;
  if (request_.sinks) {
    sinks.assign(request_.sinks->begin() + piece.query_heads.begin, request_.sinks->begin() + piece.query_heads.end);
  }
  const std::int64_t query_length = QueryLength(request_, sizes_, piece.batch.begin);
  merge_.emplace(KeyRangeMerge::Sizes{.query_heads = piece.query_heads.size(),
                                      .query_rows = piece.query_rows.size(),
                                      .value_head_size = sizes_.value_head_size,
                                      .keys = sizes_.keys,
                                      .query_length = query_length - piece.query_rows.begin},
                 request_.layout, request_.empty_row, std::move(sinks));
}

absl::Status Assembly::FinishKeyRanges(const Piece& piece) {
  const Box box = OutputBox(request_, piece);
  auto merged = Tensor::Create(ElementType::kFloat32, ShapeOf(box), "output");
  if (!merged.ok()) return merged.status();
  auto rounded = Tensor::Create(request_.query.element_type, ShapeOf(box), "output");
  if (!rounded.ok()) return rounded.status();
  merge_->GetOutput(Floats(*merged));
  FromFloat32(rounded->element_type(), merged->elements<float>(), merged->size_bytes() / sizeof(float),
              rounded->data());
  Put(rounded->view(), box, result_.output);

  const Box rows = LogSumExpBox(request_, piece);
  if (result_.log_sum_exp) {
    auto log_sum_exp = Tensor::Create(ElementType::kFloat32, ShapeOf(rows), "log_sum_exp");
    if (!log_sum_exp.ok()) return log_sum_exp.status();
    merge_->GetLogSumExp(Floats(*log_sum_exp));
    Put(log_sum_exp->view(), rows, *result_.log_sum_exp);
  }
  if (result_.weights) {
    const std::int64_t first_row =
        (piece.batch.begin * sizes_.query_heads + piece.query_heads.begin) * sizes_.query_rows + piece.query_rows.begin;
    merge_->ScaleWeights(Floats(*result_.weights) + first_row * sizes_.keys, sizes_.query_rows * sizes_.keys);
  }
  result_.report.empty_rows += merge_->CountEmptyRows();
  merge_.reset();
  return absl::OkStatus();
}

void Assembly::AddReport(const Piece& piece, const Report& part) {
  Report& whole = result_.report;
  if (whole.kernel.empty()) {
    whole.query_tile_rows = part.query_tile_rows;
    whole.key_tile_keys = part.key_tile_keys;
  }
  AddName(part.kernel, whole.kernel);
  AddName(part.fingerprint, whole.fingerprint);
  whole.computed_tiles += part.computed_tiles;
  whole.skipped_tiles += part.skipped_tiles;
  whole.floating_point_operations += part.floating_point_operations;
  if (!piece.is_key_range()) whole.empty_rows += part.empty_rows;
  whole.decode_seconds += part.decode_seconds;
  whole.queue_seconds += part.queue_seconds;
  whole.compute_seconds += part.compute_seconds;
  whole.encode_seconds += part.encode_seconds;
}

AttendResult Assembly::Take() { return std::move(result_); }

}  // namespace attnd

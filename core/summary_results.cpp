#include "core/summary_results.h"

#include <cstddef>
#include <cstring>

#include "core/kernels/softmax.h"

namespace attnd::core {
namespace {

ElementType MatrixType(const SummaryOptions& asked) {
  return asked.matrix.has_value() ? asked.matrix->element_type.value_or(ElementType::kFloat32) : ElementType::kFloat32;
}

}  // namespace

SummaryResults::SummaryResults(const Problem& problem, const Tensors& tensors)
    : problem_(problem),
      tensors_(tensors),
      layout_(problem),
      matrix_type_(MatrixType(problem.summaries)),
      divisor_(problem.summaries.head_reduction == HeadReduction::kMean ? static_cast<float>(layout_.heads()) : 1.0F) {}

void SummaryResults::Add(std::int64_t head, double number, float* to, std::int64_t index) const {
  if (to == nullptr) return;
  const auto share = static_cast<float>(number / divisor_);
  to[index] = layout_.reduces_heads() && head > 0 ? to[index] + share : share;
}

void SummaryResults::AddFigures(std::int64_t entry, std::int64_t head, std::int64_t row,
                                const RowFigures& figures) const {
  const std::int64_t index = layout_.RowIndex(entry, ResultHead(head), row);
  Add(head, figures.entropy, tensors_.entropy, index);
  Add(head, figures.largest_weight, tensors_.largest_weight, index);
  Add(head, figures.first_keys_weight, tensors_.first_keys_weight, index);
  Add(head, figures.mean_distance, tensors_.mean_distance, index);
}

void SummaryResults::AddMap(std::int64_t entry, std::int64_t head, Range map_rows, const PooledCells& cells) const {
  const std::int64_t columns = problem_.summaries.pooled_map->columns;
  const std::int64_t first = layout_.MapIndex(entry, ResultHead(head));
  for (std::int64_t row = map_rows.begin; row < map_rows.end; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      Add(head, cells.At(row, column), tensors_.pooled_map, first + row * columns + column);
    }
  }
}

void SummaryResults::AddReceived(std::int64_t entry, std::int64_t head, Range keys, const double* sums,
                                 const float* maxima) const {
  const std::int64_t first = layout_.KeysIndex(entry, ResultHead(head));
  for (std::int64_t key = keys.begin; key < keys.end; ++key) {
    Add(head, sums[key - keys.begin], tensors_.received_sum, first + key);
    Add(head, maxima[key - keys.begin], tensors_.received_maximum, first + key);
  }
}

std::byte* SummaryResults::MatrixElement(std::int64_t entry, std::int64_t head, std::int64_t row,
                                         std::int64_t key) const {
  const std::int64_t element = layout_.RowIndex(entry, head, row) * problem_.keys + key;
  return static_cast<std::byte*>(tensors_.matrix) + element * static_cast<std::int64_t>(ElementSizeBytes(matrix_type_));
}

void SummaryResults::WriteMatrix(std::int64_t entry, std::int64_t head, std::int64_t row, Range keys,
                                 const float* numbers) const {
  kernels::FromFloat32(numbers, keys.size(), matrix_type_, MatrixElement(entry, head, row, keys.begin));
}

void SummaryResults::ClearMatrix(std::int64_t entry, std::int64_t head, std::int64_t row, Range keys) const {
  // All bits of a 0 are 0.
  std::memset(MatrixElement(entry, head, row, keys.begin), 0,
              static_cast<std::size_t>(keys.size()) * ElementSizeBytes(matrix_type_));
}

void SummaryResults::WriteTopKeys(std::int64_t entry, std::int64_t head, std::int64_t row, TopKeys& top_keys) const {
  const std::int64_t index = layout_.RowIndex(entry, head, row) * problem_.summaries.top_keys;
  top_keys.Finish(tensors_.top_keys + index, tensors_.top_weights + index);
}

}  // namespace attnd::core

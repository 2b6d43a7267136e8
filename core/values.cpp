#include "core/values.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "core/kernels/softmax.h"

namespace attnd::core {
namespace {

const std::byte* HeadData(const Problem& problem, const void* data, std::int64_t batch_entry, const Sequence& sequence,
                          std::int64_t head) {
  const std::int64_t element = batch_entry * problem.value_strides.batch + head * problem.value_strides.head +
                               sequence.first_key * problem.value_strides.row;
  return static_cast<const std::byte*>(data) +
         element * static_cast<std::int64_t>(ElementSizeBytes(problem.element_type));
}

}  // namespace

Values::Values(const Problem& problem, const void* data, std::int64_t batch_entry, const Sequence& sequence,
               std::int64_t head)
    : Values(problem, HeadData(problem, data, batch_entry, sequence, head), sequence.keys, problem.value_strides.row) {}

Values::Values(const Problem& problem, const std::byte* rows, std::int64_t keys)
    : Values(problem, rows, keys, problem.value_head_size) {}

Values Values::Part(Range keys) const { return {problem_, At(keys.begin, 0), keys.size(), row_stride_}; }

const std::byte* Values::At(std::int64_t key, std::int64_t first) const {
  return data_ + (key * row_stride_ + first) * static_cast<std::int64_t>(ElementSizeBytes(problem_.element_type));
}

std::int64_t Values::Load(std::int64_t key, std::int64_t first, float* chunk) const {
  const std::int64_t count = std::min(kChunk, problem_.value_head_size - first);
  kernels::ToFloat32(problem_.element_type, At(key, first), count, chunk);
  return count;
}

std::vector<float> Values::Mean() const {
  std::vector<double> sums(static_cast<std::size_t>(problem_.value_head_size));
  std::array<float, kChunk> chunk;
  for (std::int64_t key = 0; key < keys_; ++key) {
    for (std::int64_t first = 0; first < problem_.value_head_size; first += kChunk) {
      const std::int64_t count = Load(key, first, chunk.data());
      std::transform(chunk.begin(), chunk.begin() + count, sums.begin() + first, sums.begin() + first,
                     [](float value, double sum) { return sum + value; });
    }
  }
  std::vector<float> mean(sums.size());
  std::transform(sums.begin(), sums.end(), mean.begin(),
                 [&](double sum) { return static_cast<float>(sum / static_cast<double>(keys_)); });
  return mean;
}

void Values::AddNonFinite(std::int64_t key, float* sums) const {
  std::array<float, kChunk> chunk;
  for (std::int64_t first = 0; first < problem_.value_head_size; first += kChunk) {
    const std::int64_t count = Load(key, first, chunk.data());
    std::transform(chunk.begin(), chunk.begin() + count, sums + first, sums + first,
                   [](float value, float sum) { return std::isfinite(value) ? sum : sum + value; });
  }
}

std::vector<std::byte> Values::Rows(Range keys) const {
  const std::int64_t row_size_bytes =
      problem_.value_head_size * static_cast<std::int64_t>(ElementSizeBytes(problem_.element_type));
  std::vector<std::byte> rows(static_cast<std::size_t>(keys.size() * row_size_bytes));
  for (std::int64_t key = keys.begin; key < keys.end; ++key) {
    std::copy_n(At(key, 0), row_size_bytes, rows.data() + (key - keys.begin) * row_size_bytes);
  }
  return rows;
}

std::vector<float> Values::NonFiniteSums(Range keys) const {
  std::vector<float> sums(static_cast<std::size_t>(problem_.value_head_size));
  for (std::int64_t key = keys.begin; key < keys.end; ++key) AddNonFinite(key, sums.data());
  return sums;
}

}  // namespace attnd::core

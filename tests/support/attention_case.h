// A problem with its elements, as a test makes it and as both the engine and the reference take it.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "core/problem.h"

namespace attnd::test {

struct AttentionCase {
  core::ProblemDescription description;
  // Dense, in the description's shapes and layout; every number is one that the element type can hold.
  std::vector<double> query;
  std::vector<double> key;
  std::vector<double> value;
  // Where the description has them.
  std::vector<std::uint8_t> mask;
  std::vector<double> bias;
  std::vector<std::int32_t> query_segment_ids;
  std::vector<std::int32_t> key_segment_ids;
  std::vector<std::uint8_t> block_mask;
};

// Of a ragged batch: batch is that of sequences, and query_rows and keys are the most that one has.
struct Sizes {
  std::int64_t batch = 1;
  std::int64_t query_heads = 1;
  std::int64_t key_value_heads = 1;
  std::int64_t query_rows = 1;
  std::int64_t keys = 1;
  std::int64_t head_size = 1;
  std::int64_t value_head_size = 1;
};

// The description must be a valid one.
Sizes SizesOf(const core::ProblemDescription& description);

// Where the row (b, h, s) of a tensor of the shape begins, in elements.
std::int64_t RowStart(const core::Shape& shape, core::Layout layout, std::int64_t b, std::int64_t h, std::int64_t s);

// The rows and keys of a batch entry.
struct Entry {
  std::int64_t first_row = 0;  // in the tensors of a ragged batch; else 0
  std::int64_t first_key = 0;
  std::int64_t query_rows = 0;
  std::int64_t keys = 0;
};
Entry EntryOf(const core::ProblemDescription& description, std::int64_t b);

// Where the query row (b, h, i) begins in a tensor of the shape, and the key (b, h, j); also in a ragged batch.
std::int64_t QueryRowStart(const core::ProblemDescription& description, const core::Shape& shape, std::int64_t b,
                           std::int64_t h, std::int64_t i);
std::int64_t KeyRowStart(const core::ProblemDescription& description, const core::Shape& shape, std::int64_t b,
                         std::int64_t h, std::int64_t j);
// Its index among what has one element a row.
std::int64_t RowIndex(const core::ProblemDescription& description, std::int64_t b, std::int64_t h, std::int64_t i);
// How many there are.
std::int64_t RowCount(const core::ProblemDescription& description);

// The element of a tensor of the shape, broadcast from the right to the shape of the padded batch's weights, that
// (b, h, i, j) reads; nothing where a narrow tensor does not reach the key.
std::optional<std::size_t> BroadcastElement(const core::ProblemDescription& description, const core::Shape& shape,
                                            std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j);

struct CaseOptions {
  Sizes sizes;
  core::ElementType element_type = core::ElementType::kFloat32;
  // Ranks 2 and 3 need one head, rank 2 one batch entry too.
  int rank = 4;
  core::Layout layout = core::Layout::kBhsd;
  // The standard deviation of every element.
  double spread = 1;
};

// A causal mask by alignment, and by an offset for each batch entry.
core::CausalOptions Causal(core::Alignment alignment);
core::CausalOptions CausalAt(std::vector<std::int64_t> offsets);

using Random = std::mt19937_64;

// Normally distributed elements, no mask, and an answer with weights and log-sum-exp.
AttentionCase MakeCase(const CaseOptions& options, Random& random);

// Adds a boolean mask of the shape, in which each element is true with the probability `visible`.
void AddBooleanMask(AttentionCase& attention, const core::Shape& shape, double visible, Random& random);
// Adds a mask of blocks in the same way, for every head.
void AddBlockMask(AttentionCase& attention, std::int64_t block_rows, std::int64_t block_keys, double visible,
                  Random& random);
// Adds a normally distributed bias, of which each element is −∞ with the probability `hidden`.
void AddBias(AttentionCase& attention, core::ElementType type, const core::Shape& shape, double hidden, Random& random);
// Adds numbers of segments: runs of random length where they are sorted, else any of a few.
void AddSegments(AttentionCase& attention, bool sorted, Random& random);
// Makes a case in ranks 3 of [T, H, D] of sequences of these lengths; options.sizes are read for heads and head sizes.
AttentionCase MakeRaggedCase(const CaseOptions& options, const std::vector<std::int64_t>& query_lengths,
                             const std::vector<std::int64_t>& key_lengths, Random& random);

// As "float32 BHSD q[2, 3, 5, 8] k[2, 1, 7, 8] v[2, 1, 7, 8] causal(bottom right) lengths mask[5, 7]".
std::string ToString(const AttentionCase& attention);

}  // namespace attnd::test

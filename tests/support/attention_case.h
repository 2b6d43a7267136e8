// A problem with its elements, as a test makes it and as both the engine and the reference take it.
#pragma once

#include <cstdint>
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
  // Where the description has a boolean mask.
  std::vector<std::uint8_t> mask;
};

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

struct CaseOptions {
  Sizes sizes;
  core::ElementType element_type = core::ElementType::kFloat32;
  // Ranks 2 and 3 need one head, rank 2 one batch entry too.
  int rank = 4;
  core::Layout layout = core::Layout::kBhsd;
  // The standard deviation of every element.
  double spread = 1;
};

using Random = std::mt19937_64;

// Normally distributed elements, no mask, and an answer with weights and log-sum-exp.
AttentionCase MakeCase(const CaseOptions& options, Random& random);

// Adds a boolean mask of the shape, in which each element is true with the probability `visible`.
void AddBooleanMask(AttentionCase& attention, const core::Shape& shape, double visible, Random& random);

// As "float32 BHSD q[2, 3, 5, 8] k[2, 1, 7, 8] v[2, 1, 7, 8] causal(bottom right) lengths mask[5, 7]".
std::string ToString(const AttentionCase& attention);

}  // namespace attnd::test

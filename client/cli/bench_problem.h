// The problem that `attnctl bench` asks again and again: a shape, random elements, and what it costs.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/cpp/client.h"
#include "client/cpp/tensor.h"

namespace attnd::cli {

struct BenchShape {
  std::int64_t batch = 1;
  std::int64_t heads = 8;
  std::int64_t key_value_heads = 8;
  std::int64_t queries = 512;
  std::int64_t keys = 512;
  std::int64_t head_size = 64;
  std::int64_t value_head_size = 64;
  std::vector<std::int64_t> key_lengths = {};  // one a batch entry; empty: all keys
  ElementType element_type = ElementType::kFloat32;
  std::optional<CausalAlignment> causal = std::nullopt;
};

// The shapes that have names: "minilm-layer" and "bert-base-layer".
std::vector<std::string> BenchPresetNames();

// One of those, in float32 and not causal. NOT_FOUND for another name.
absl::StatusOr<BenchShape> BenchPreset(const std::string& name);

// As "float32 B3 H12 S15 D32, key lengths 15,12,9"; Skv, KV and Dv only where they differ.
std::string ToString(const BenchShape& shape);

// Useful floating-point operations: 2·(D + Dv) for each query and each key that it sees.
double UsefulOperations(const BenchShape& shape);

// Tensors whose elements are the same in every run.
class BenchProblem {
 public:
  // Errors name the option: INVALID_ARGUMENT where a size is below 1 or over 2³¹−1, or the tensors' would not fit 63
  // bits, RESOURCE_EXHAUSTED where there is no memory for them. What else contradicts itself, the server refuses.
  static absl::StatusOr<BenchProblem> Create(const BenchShape& shape);

  // Its views are good while this problem lives.
  AttendRequest request() const;
  const BenchShape& shape() const { return shape_; }
  // Of the tensors there, and of the output back.
  std::int64_t tensor_bytes() const;

 private:
  BenchShape shape_;
  Tensor query_;
  Tensor key_;
  Tensor value_;
};

}  // namespace attnd::cli

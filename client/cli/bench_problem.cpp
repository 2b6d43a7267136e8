#include "client/cli/bench_problem.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <utility>

#include "client/cpp/small_float.h"

namespace attnd::cli {
namespace {

const std::map<std::string, BenchShape>& Presets() {
  static const std::map<std::string, BenchShape> presets = {
      // What deploy/quickstart sends.
      {"minilm-layer",
       {.batch = 3,
        .heads = 12,
        .key_value_heads = 12,
        .queries = 15,
        .keys = 15,
        .head_size = 32,
        .value_head_size = 32,
        .key_lengths = {15, 12, 9}}},
      {"bert-base-layer",
       {.batch = 8,
        .heads = 12,
        .key_value_heads = 12,
        .queries = 512,
        .keys = 512,
        .head_size = 64,
        .value_head_size = 64}},
  };
  return presets;
}

// Sizes are below 2³¹, so that what is computed of them fits.
absl::Status CheckSizes(const BenchShape& shape) {
  for (const auto& [option, size] : {std::pair("--batch", shape.batch),
                                     {"--heads", shape.heads},
                                     {"--key-value-heads", shape.key_value_heads},
                                     {"--queries", shape.queries},
                                     {"--keys", shape.keys},
                                     {"--head-size", shape.head_size},
                                     {"--value-head-size", shape.value_head_size}}) {
    constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();
    if (size < 1 || size > kLargest) {
      return absl::InvalidArgumentError(absl::StrCat(option, ": ", size, " found, 1 to ", kLargest, " expected"));
    }
  }
  return absl::OkStatus();
}

// Numbers from −1 to 1: products take as long whatever they are, unless they are denormal.
absl::StatusOr<Tensor> RandomTensor(ElementType type, Shape shape, const char* name, std::mt19937& random) {
  auto tensor = Tensor::Create(type, std::move(shape), name);
  if (!tensor.ok()) return tensor.status();
  const std::size_t element_size_bytes = ElementSizeBytes(type);
  for (std::size_t offset = 0; offset < tensor->size_bytes(); offset += element_size_bytes) {
    constexpr float kHalf = 1U << 31;
    const float number = static_cast<float>(random()) / kHalf - 1;
    FromFloat32(type, &number, 1, tensor->data() + offset);
  }
  return tensor;
}

}  // namespace

std::vector<std::string> BenchPresetNames() {
  std::vector<std::string> names;
  for (const auto& [name, shape] : Presets()) names.push_back(name);
  return names;
}

absl::StatusOr<BenchShape> BenchPreset(const std::string& name) {
  const auto found = Presets().find(name);
  if (found != Presets().end()) return found->second;
  return absl::NotFoundError(
      absl::StrCat("--preset: '", name, "' found, one of ", absl::StrJoin(BenchPresetNames(), ", "), " expected"));
}

std::string ToString(const BenchShape& shape) {
  std::string text = absl::StrCat(ElementTypeName(shape.element_type), " B", shape.batch, " H", shape.heads);
  if (shape.key_value_heads != shape.heads) absl::StrAppend(&text, " KV", shape.key_value_heads);
  absl::StrAppend(&text, " S", shape.queries);
  if (shape.keys != shape.queries) absl::StrAppend(&text, " Skv", shape.keys);
  absl::StrAppend(&text, " D", shape.head_size);
  if (shape.value_head_size != shape.head_size) absl::StrAppend(&text, " Dv", shape.value_head_size);
  if (shape.causal) absl::StrAppend(&text, " causal");
  if (!shape.key_lengths.empty()) absl::StrAppend(&text, ", key lengths ", absl::StrJoin(shape.key_lengths, ","));
  return text;
}

double UsefulOperations(const BenchShape& shape) {
  const std::int64_t offset = shape.causal == CausalAlignment::kBottomRight ? shape.keys - shape.queries : 0;
  double seen = 0;
  for (std::int64_t entry = 0; entry < shape.batch; ++entry) {
    const bool has_length = entry < static_cast<std::int64_t>(shape.key_lengths.size());
    const std::int64_t length = has_length ? shape.key_lengths[static_cast<std::size_t>(entry)] : shape.keys;
    if (!shape.causal) {
      seen += static_cast<double>(length) * static_cast<double>(shape.queries);
      continue;
    }
    for (std::int64_t query = 0; query < shape.queries; ++query) {
      seen += static_cast<double>(std::clamp<std::int64_t>(query + offset + 1, 0, length));
    }
  }
  return 2 * seen * static_cast<double>(shape.heads) * static_cast<double>(shape.head_size + shape.value_head_size);
}

absl::StatusOr<BenchProblem> BenchProblem::Create(const BenchShape& shape) {
  if (absl::Status status = CheckSizes(shape); !status.ok()) return status;
  BenchProblem problem;
  problem.shape_ = shape;
  std::mt19937 random;  // NOLINT(cert-msc51-cpp,cert-msc32-c): the same numbers in every run
  const auto fill = [&](Tensor& tensor, Shape dimensions, const char* name) {
    auto made = RandomTensor(shape.element_type, std::move(dimensions), name, random);
    if (!made.ok()) return made.status();
    tensor = *std::move(made);
    return absl::OkStatus();
  };
  absl::Status status = fill(problem.query_, {shape.batch, shape.heads, shape.queries, shape.head_size}, "query");
  if (status.ok()) {
    status = fill(problem.key_, {shape.batch, shape.key_value_heads, shape.keys, shape.head_size}, "key");
  }
  if (status.ok()) {
    status = fill(problem.value_, {shape.batch, shape.key_value_heads, shape.keys, shape.value_head_size}, "value");
  }
  if (!status.ok()) return status;
  return problem;
}

AttendRequest BenchProblem::request() const {
  AttendRequest request{.query = query_.view(), .key = key_.view(), .value = value_.view()};
  request.mask.causal = shape_.causal;
  if (!shape_.key_lengths.empty()) request.mask.key_lengths = shape_.key_lengths;
  return request;
}

std::int64_t BenchProblem::tensor_bytes() const {
  const std::size_t output = query_.size_bytes() / static_cast<std::size_t>(shape_.head_size) *
                             static_cast<std::size_t>(shape_.value_head_size);
  return static_cast<std::int64_t>(query_.size_bytes() + key_.size_bytes() + value_.size_bytes() + output);
}

}  // namespace attnd::cli

#include "tests/client/cpp/local_attention.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

core::TensorDescription ToCore(const TensorView& view) {
  return {static_cast<core::ElementType>(view.element_type), {view.shape.begin(), view.shape.end()}};
}

std::int64_t ByteCount(const TensorView& view) {
  return static_cast<std::int64_t>(SizeBytes(view.element_type, view.shape, "").value());
}

core::ProblemDescription ToCore(const AttendRequest& request) {
  core::ProblemDescription description;
  description.query = ToCore(request.query);
  description.key = ToCore(request.key);
  description.value = ToCore(request.value);
  description.layout = static_cast<core::Layout>(request.layout);
  description.scale = request.scale;
  if (request.mask.causal) description.mask.causal = static_cast<core::CausalAlignment>(*request.mask.causal);
  description.mask.causal_offsets = request.mask.causal_offsets;
  description.mask.key_lengths = request.mask.key_lengths;
  if (request.mask.boolean) {
    description.mask.boolean = ToCore(*request.mask.boolean);
    description.mask_size_bytes = ByteCount(*request.mask.boolean);
  }
  description.empty_row = static_cast<core::EmptyRow>(request.empty_row);
  description.return_weights = request.return_weights;
  description.return_log_sum_exp = request.return_log_sum_exp;
  description.query_size_bytes = ByteCount(request.query);
  description.key_size_bytes = ByteCount(request.key);
  description.value_size_bytes = ByteCount(request.value);
  return description;
}

Tensor MakeTensor(const core::TensorDescription& tensor) {
  return Tensor::Create(static_cast<ElementType>(tensor.element_type), {tensor.shape.begin(), tensor.shape.end()}, "")
      .value();
}

std::vector<double> Numbers(const Tensor& tensor) {
  return Decode(static_cast<core::ElementType>(tensor.element_type()), tensor.elements<std::uint8_t>(),
                tensor.size_bytes() / ElementSizeBytes(tensor.element_type()));
}

TensorView View(const core::TensorDescription& tensor, const std::vector<std::uint8_t>& bytes) {
  return {static_cast<ElementType>(tensor.element_type), {tensor.shape.begin(), tensor.shape.end()}, bytes.data()};
}

std::int64_t Between(std::int64_t least, std::int64_t most, Random& random) {
  return std::uniform_int_distribution<std::int64_t>(least, most)(random);
}

// One in so many.
bool OneIn(int count, Random& random) { return Between(1, count, random) == 1; }

void AddRandomMasks(AttentionCase& attention, Random& random) {
  core::MaskOptions& mask = attention.description.mask;
  const Sizes sizes = SizesOf(attention.description);
  switch (Between(0, 4, random)) {
    case 0:
      mask.causal = core::CausalAlignment::kTopLeft;
      break;
    case 1:
      mask.causal = core::CausalAlignment::kBottomRight;
      break;
    case 2:
      mask.causal_offsets.emplace();
      for (std::int64_t b = 0; b < sizes.batch; ++b) {
        mask.causal_offsets->push_back(Between(-sizes.query_rows - 2, sizes.keys + 2, random));
      }
      break;
    default:
      break;
  }
  if (OneIn(2, random)) {
    mask.key_lengths.emplace();
    for (std::int64_t b = 0; b < sizes.batch; ++b) mask.key_lengths->push_back(Between(0, sizes.keys, random));
  }
  if (OneIn(2, random)) {
    core::Shape shape = {sizes.query_rows, sizes.keys};
    if (attention.description.query.shape.size() == 4) shape.insert(shape.begin(), sizes.query_heads);
    if (attention.description.query.shape.size() >= 3) shape.insert(shape.begin(), sizes.batch);
    shape.erase(shape.begin(), shape.begin() + Between(0, static_cast<std::int64_t>(shape.size()) - 1, random));
    for (std::int64_t& size : shape) {
      if (OneIn(3, random)) size = 1;
    }
    AddBooleanMask(attention, shape, 0.6, random);
  }
}

}  // namespace

LocalProblem::LocalProblem(const AttentionCase& attention)
    : query_(Encode(attention.description.query.element_type, attention.query)),
      key_(Encode(attention.description.key.element_type, attention.key)),
      value_(Encode(attention.description.value.element_type, attention.value)),
      mask_(attention.mask) {
  const core::ProblemDescription& description = attention.description;
  request_.query = View(description.query, query_);
  request_.key = View(description.key, key_);
  request_.value = View(description.value, value_);
  request_.layout = static_cast<Layout>(description.layout);
  request_.scale = description.scale;
  if (description.mask.causal) request_.mask.causal = static_cast<CausalAlignment>(*description.mask.causal);
  request_.mask.causal_offsets = description.mask.causal_offsets;
  request_.mask.key_lengths = description.mask.key_lengths;
  if (description.mask.boolean) request_.mask.boolean = View(*description.mask.boolean, mask_);
  request_.empty_row = static_cast<EmptyRow>(description.empty_row);
  request_.return_weights = description.return_weights;
  request_.return_log_sum_exp = description.return_log_sum_exp;
}

AttendResult AttendLocally(core::Engine& engine, const AttendRequest& request) {
  const auto problem = core::CheckProblem(ToCore(request), {});
  if (!problem.ok()) throw std::invalid_argument(problem.status().ToString());
  AttendResult result;
  result.output = MakeTensor(problem->output);
  if (problem->weights) result.weights = MakeTensor(*problem->weights);
  if (problem->log_sum_exp) result.log_sum_exp = MakeTensor(*problem->log_sum_exp);
  const core::Tensors tensors = {
      .query = request.query.data,
      .key = request.key.data,
      .value = request.value.data,
      .mask = request.mask.boolean ? static_cast<const std::uint8_t*>(request.mask.boolean->data) : nullptr,
      .output = result.output.data(),
      .weights = result.weights ? reinterpret_cast<float*>(result.weights->data()) : nullptr,
      .log_sum_exp = result.log_sum_exp ? reinterpret_cast<float*>(result.log_sum_exp->data()) : nullptr};
  const auto report = engine.Run(*problem, tensors);
  if (!report.ok()) throw std::runtime_error(report.status().ToString());
  result.report.kernel = report->kernel;
  result.report.computed_tiles = report->computed_tiles;
  result.report.empty_rows = report->empty_rows;
  return result;
}

Answer ToAnswer(const AttendResult& result) {
  Answer answer;
  answer.output = Numbers(result.output);
  answer.empty_rows = result.report.empty_rows;
  if (result.weights) answer.weights = Numbers(*result.weights);
  if (result.log_sum_exp) answer.log_sum_exp = Numbers(*result.log_sum_exp);
  return answer;
}

std::vector<std::uint8_t> BytesOf(const AttendResult& result) {
  std::vector<std::uint8_t> bytes;
  for (const Tensor* tensor : {&result.output, result.weights ? &*result.weights : nullptr,
                               result.log_sum_exp ? &*result.log_sum_exp : nullptr}) {
    if (tensor == nullptr) continue;
    const auto* begin = tensor->elements<std::uint8_t>();
    bytes.insert(bytes.end(), begin, begin + tensor->size_bytes());
  }
  return bytes;
}

AttentionCase RandomCase(Random& random) {
  CaseOptions options;
  options.rank = static_cast<int>(Between(2, 5, random));
  if (options.rank == 5) {
    options.rank = 4;
    options.layout = core::Layout::kBshd;
  }
  Sizes& sizes = options.sizes;
  if (options.rank > 2) sizes.batch = Between(1, 4, random);
  if (options.rank > 3) {
    sizes.key_value_heads = Between(1, 3, random);
    sizes.query_heads = sizes.key_value_heads * Between(1, 3, random);
  }
  sizes.query_rows = OneIn(4, random) ? Between(1, 8, random) : Between(1, 200, random);
  sizes.keys = Between(1, OneIn(2, random) ? 300 : 900, random);
  sizes.head_size = Between(1, 40, random);
  sizes.value_head_size = Between(1, 40, random);
  options.element_type = static_cast<core::ElementType>(Between(0, 2, random));
  AttentionCase attention = MakeCase(options, random);
  core::ProblemDescription& description = attention.description;
  description.return_weights = OneIn(2, random);
  description.return_log_sum_exp = OneIn(2, random);
  if (OneIn(2, random)) description.empty_row = core::EmptyRow::kMeanOfAllValues;
  if (OneIn(3, random)) description.scale = 0.3;
  AddRandomMasks(attention, random);
  return attention;
}

}  // namespace attnd::test

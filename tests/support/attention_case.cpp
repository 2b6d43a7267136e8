#include "tests/support/attention_case.h"

#include <utility>

#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

core::Shape ShapeOf(const CaseOptions& options, std::int64_t heads, std::int64_t rows, std::int64_t last) {
  if (options.rank == 2) return {rows, last};
  if (options.rank == 3) return {options.sizes.batch, rows, last};
  if (options.layout == core::Layout::kBshd) return {options.sizes.batch, rows, heads, last};
  return {options.sizes.batch, heads, rows, last};
}

std::int64_t ElementCount(const core::Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::vector<double> RandomElements(core::ElementType type, std::int64_t count, double spread, Random& random) {
  std::normal_distribution<double> normal(0, spread);
  std::vector<double> numbers(static_cast<std::size_t>(count));
  for (double& number : numbers) number = RoundTo(type, normal(random));
  return numbers;
}

}  // namespace

Sizes SizesOf(const core::ProblemDescription& description) {
  const core::Shape& query = description.query.shape;
  const core::Shape& key = description.key.shape;
  Sizes sizes;
  sizes.head_size = query.back();
  sizes.value_head_size = description.value.shape.back();
  if (query.size() > 2) sizes.batch = query[0];
  if (query.size() == 4) {
    const std::size_t head = description.layout == core::Layout::kBshd ? 2 : 1;
    sizes.query_heads = query[head];
    sizes.key_value_heads = key[head];
  }
  const std::size_t row = description.layout == core::Layout::kBshd ? 1 : query.size() - 2;
  sizes.query_rows = query[row];
  sizes.keys = key[row];
  return sizes;
}

std::int64_t RowStart(const core::Shape& shape, core::Layout layout, std::int64_t b, std::int64_t h, std::int64_t s) {
  if (shape.size() == 2) return s * shape[1];
  if (shape.size() == 3) return (b * shape[1] + s) * shape[2];
  if (layout == core::Layout::kBshd) std::swap(h, s);
  return ((b * shape[1] + h) * shape[2] + s) * shape[3];
}

AttentionCase MakeCase(const CaseOptions& options, Random& random) {
  const Sizes& sizes = options.sizes;
  const core::ElementType type = options.element_type;
  AttentionCase made;
  core::ProblemDescription& description = made.description;
  description.query = {type, ShapeOf(options, sizes.query_heads, sizes.query_rows, sizes.head_size)};
  description.key = {type, ShapeOf(options, sizes.key_value_heads, sizes.keys, sizes.head_size)};
  description.value = {type, ShapeOf(options, sizes.key_value_heads, sizes.keys, sizes.value_head_size)};
  description.layout = options.layout;
  description.return_weights = true;
  description.return_log_sum_exp = true;
  made.query = RandomElements(type, ElementCount(description.query.shape), options.spread, random);
  made.key = RandomElements(type, ElementCount(description.key.shape), options.spread, random);
  made.value = RandomElements(type, ElementCount(description.value.shape), options.spread, random);
  const auto element_size_bytes = static_cast<std::int64_t>(core::ElementSizeBytes(type));
  description.query_size_bytes = ElementCount(description.query.shape) * element_size_bytes;
  description.key_size_bytes = ElementCount(description.key.shape) * element_size_bytes;
  description.value_size_bytes = ElementCount(description.value.shape) * element_size_bytes;
  return made;
}

void AddBooleanMask(AttentionCase& attention, const core::Shape& shape, double visible, Random& random) {
  // Any byte but 0 is true.
  std::bernoulli_distribution is_visible(visible);
  std::uniform_int_distribution<int> true_byte(1, 255);
  attention.description.mask.boolean = core::TensorDescription{core::ElementType::kBool, shape};
  attention.description.mask_size_bytes = ElementCount(shape);
  attention.mask.resize(static_cast<std::size_t>(ElementCount(shape)));
  for (std::uint8_t& element : attention.mask) {
    element = is_visible(random) ? static_cast<std::uint8_t>(true_byte(random)) : std::uint8_t{0};
  }
}

std::string ToString(const AttentionCase& attention) {
  const core::ProblemDescription& description = attention.description;
  std::string text(core::ElementTypeName(description.query.element_type));
  text += description.layout == core::Layout::kBshd ? " BSHD" : " BHSD";
  text += " q" + core::ToString(description.query.shape);
  text += " k" + core::ToString(description.key.shape);
  text += " v" + core::ToString(description.value.shape);
  if (description.scale) text += " scale " + std::to_string(*description.scale);
  if (description.mask.causal) {
    text +=
        *description.mask.causal == core::CausalAlignment::kBottomRight ? " causal(bottom right)" : " causal(top left)";
  }
  if (description.mask.causal_offsets) {
    text += " causal(";
    for (const std::int64_t offset : *description.mask.causal_offsets) text += " " + std::to_string(offset);
    text += " )";
  }
  if (description.mask.key_lengths) {
    text += " lengths(";
    for (const std::int64_t length : *description.mask.key_lengths) text += " " + std::to_string(length);
    text += " )";
  }
  if (description.mask.boolean) text += " mask" + core::ToString(description.mask.boolean->shape);
  if (description.empty_row == core::EmptyRow::kMeanOfAllValues) text += " mean of all values";
  return text;
}

}  // namespace attnd::test

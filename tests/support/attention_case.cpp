#include "tests/support/attention_case.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
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

std::int64_t Longest(const std::vector<std::int64_t>& offsets) {
  std::int64_t longest = 0;
  for (std::size_t n = 1; n < offsets.size(); ++n) longest = std::max(longest, offsets[n] - offsets[n - 1]);
  return longest;
}

std::vector<std::int64_t> OffsetsOf(const std::vector<std::int64_t>& lengths) {
  std::vector<std::int64_t> offsets(lengths.size() + 1, 0);
  std::partial_sum(lengths.begin(), lengths.end(), offsets.begin() + 1);
  return offsets;
}

std::vector<std::int32_t> RandomSegments(std::int64_t count, bool sorted, Random& random) {
  std::uniform_int_distribution<std::int32_t> any(-1, 2);
  std::bernoulli_distribution ends(0.05);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  std::int32_t current = 0;
  for (std::int32_t& id : ids) {
    if (ends(random)) ++current;
    id = sorted ? current : any(random);
  }
  return ids;
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
  if (description.ragged) {
    sizes.batch = std::ssize(description.ragged->query_offsets) - 1;
    sizes.query_heads = query[1];
    sizes.key_value_heads = key[1];
    sizes.query_rows = Longest(description.ragged->query_offsets);
    sizes.keys = Longest(description.ragged->key_offsets);
    return sizes;
  }
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
  description.size_bytes[core::Input::kQuery] = ElementCount(description.query.shape) * element_size_bytes;
  description.size_bytes[core::Input::kKey] = ElementCount(description.key.shape) * element_size_bytes;
  description.size_bytes[core::Input::kValue] = ElementCount(description.value.shape) * element_size_bytes;
  return made;
}

core::CausalOptions Causal(core::Alignment alignment) {
  return {.positions = {.alignment = alignment, .offsets = std::nullopt}, .prefix_lengths = {}};
}

core::CausalOptions CausalAt(std::vector<std::int64_t> offsets) {
  return {.positions = {.alignment = std::nullopt, .offsets = std::move(offsets)}, .prefix_lengths = {}};
}

Entry EntryOf(const core::ProblemDescription& description, std::int64_t b) {
  if (!description.ragged) {
    const Sizes sizes = SizesOf(description);
    return {.query_rows = sizes.query_rows, .keys = sizes.keys};
  }
  const auto n = static_cast<std::size_t>(b);
  const std::vector<std::int64_t>& rows = description.ragged->query_offsets;
  const std::vector<std::int64_t>& keys = description.ragged->key_offsets;
  return {
      .first_row = rows[n], .first_key = keys[n], .query_rows = rows[n + 1] - rows[n], .keys = keys[n + 1] - keys[n]};
}

std::int64_t QueryRowStart(const core::ProblemDescription& description, const core::Shape& shape, std::int64_t b,
                           std::int64_t h, std::int64_t i) {
  if (!description.ragged) return RowStart(shape, description.layout, b, h, i);
  return ((EntryOf(description, b).first_row + i) * shape[1] + h) * shape[2];
}

std::int64_t KeyRowStart(const core::ProblemDescription& description, const core::Shape& shape, std::int64_t b,
                         std::int64_t h, std::int64_t j) {
  if (!description.ragged) return RowStart(shape, description.layout, b, h, j);
  return ((EntryOf(description, b).first_key + j) * shape[1] + h) * shape[2];
}

std::int64_t RowIndex(const core::ProblemDescription& description, std::int64_t b, std::int64_t h, std::int64_t i) {
  const Sizes sizes = SizesOf(description);
  if (!description.ragged) return (b * sizes.query_heads + h) * sizes.query_rows + i;
  return h * description.ragged->query_offsets.back() + EntryOf(description, b).first_row + i;
}

std::int64_t RowCount(const core::ProblemDescription& description) {
  const Sizes sizes = SizesOf(description);
  if (description.ragged) return sizes.query_heads * description.ragged->query_offsets.back();
  return sizes.batch * sizes.query_heads * sizes.query_rows;
}

std::optional<std::size_t> BroadcastElement(const core::ProblemDescription& description, const core::Shape& shape,
                                            std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t j) {
  // [B, H, Sq, Sk], or what is left of it.
  std::array<std::int64_t, 4> position = {b, h, i, j};
  std::size_t rank = 4;
  if (!description.ragged && description.query.shape.size() < 4) {
    rank = description.query.shape.size();
    position = rank == 3 ? std::array<std::int64_t, 4>{b, i, j} : std::array<std::int64_t, 4>{i, j};
  }
  const std::size_t left_out = rank - shape.size();
  std::int64_t index = 0;
  for (std::size_t dimension = 0; dimension < shape.size(); ++dimension) {
    const std::int64_t along = shape[dimension] == 1 ? 0 : position[left_out + dimension];
    if (along >= shape[dimension]) return std::nullopt;
    index = index * shape[dimension] + along;
  }
  return static_cast<std::size_t>(index);
}

AttentionCase MakeRaggedCase(const CaseOptions& options, const std::vector<std::int64_t>& query_lengths,
                             const std::vector<std::int64_t>& key_lengths, Random& random) {
  const std::vector<std::int64_t> query_offsets = OffsetsOf(query_lengths);
  const std::vector<std::int64_t> key_offsets = OffsetsOf(key_lengths);
  // [1, T, H, D] has the same elements.
  CaseOptions packed = options;
  packed.rank = 4;
  packed.layout = core::Layout::kBshd;
  packed.sizes.batch = 1;
  packed.sizes.query_rows = query_offsets.back();
  packed.sizes.keys = key_offsets.back();
  AttentionCase made = MakeCase(packed, random);
  for (core::TensorDescription* tensor : {&made.description.query, &made.description.key, &made.description.value}) {
    tensor->shape.erase(tensor->shape.begin());
  }
  made.description.layout = core::Layout::kBhsd;
  made.description.ragged = core::RaggedOptions{.query_offsets = query_offsets, .key_offsets = key_offsets};
  return made;
}

void AddBlockMask(AttentionCase& attention, std::int64_t block_rows, std::int64_t block_keys, double visible,
                  Random& random) {
  const Sizes sizes = SizesOf(attention.description);
  core::Shape shape = {(sizes.query_rows - 1) / block_rows + 1, (sizes.keys - 1) / block_keys + 1};
  if (attention.description.query.shape.size() == 4) shape.insert(shape.begin(), {1, sizes.query_heads});
  std::bernoulli_distribution is_visible(visible);
  attention.block_mask.resize(static_cast<std::size_t>(ElementCount(shape)));
  for (std::uint8_t& element : attention.block_mask) element = is_visible(random) ? 1 : 0;
  attention.description.size_bytes[core::Input::kBlockMask] = ElementCount(shape);
  attention.description.mask.blocks = core::BlockMaskOptions{
      .query_block_rows = block_rows, .key_block_keys = block_keys, .tensor = {core::ElementType::kBool, shape}};
}

void AddBias(AttentionCase& attention, core::ElementType type, const core::Shape& shape, double hidden,
             Random& random) {
  std::bernoulli_distribution is_hidden(hidden);
  attention.bias = RandomElements(type, ElementCount(shape), 1, random);
  for (double& element : attention.bias) {
    if (is_hidden(random)) element = -std::numeric_limits<double>::infinity();
  }
  attention.description.modifiers.bias = core::TensorDescription{type, shape};
  attention.description.size_bytes[core::Input::kBias] =
      ElementCount(shape) * static_cast<std::int64_t>(core::ElementSizeBytes(type));
}

void AddSegments(AttentionCase& attention, bool sorted, Random& random) {
  core::ProblemDescription& description = attention.description;
  const Sizes sizes = SizesOf(description);
  core::Shape query = {sizes.batch, sizes.query_rows};
  core::Shape key = {sizes.batch, sizes.keys};
  if (description.ragged) {
    query = {description.ragged->query_offsets.back()};
    key = {description.ragged->key_offsets.back()};
  } else if (description.query.shape.size() == 2) {
    query = {sizes.query_rows};
    key = {sizes.keys};
  }
  attention.query_segment_ids = RandomSegments(ElementCount(query), sorted, random);
  attention.key_segment_ids = RandomSegments(ElementCount(key), sorted, random);
  description.size_bytes[core::Input::kQuerySegmentIds] = ElementCount(query) * 4;
  description.size_bytes[core::Input::kKeySegmentIds] = ElementCount(key) * 4;
  description.mask.segments =
      core::SegmentOptions{.query = {core::ElementType::kInt32, query}, .key = {core::ElementType::kInt32, key}};
}

void AddBooleanMask(AttentionCase& attention, const core::Shape& shape, double visible, Random& random) {
  // Any byte but 0 is true.
  std::bernoulli_distribution is_visible(visible);
  std::uniform_int_distribution<int> true_byte(1, 255);
  attention.description.mask.boolean = core::TensorDescription{core::ElementType::kBool, shape};
  attention.description.size_bytes[core::Input::kMask] = ElementCount(shape);
  attention.mask.resize(static_cast<std::size_t>(ElementCount(shape)));
  for (std::uint8_t& element : attention.mask) {
    element = is_visible(random) ? static_cast<std::uint8_t>(true_byte(random)) : std::uint8_t{0};
  }
}

namespace {

std::string ToString(const std::string& name, const std::vector<std::int64_t>& numbers) {
  std::string text = " " + name + "(";
  for (const std::int64_t number : numbers) text += " " + std::to_string(number);
  return text + " )";
}

std::string ToString(const std::string& name, const core::PositionOptions& positions) {
  if (positions.offsets) return ToString(name, *positions.offsets);
  if (!positions.alignment) return " " + name;
  return " " + name + (*positions.alignment == core::Alignment::kBottomRight ? "(bottom right)" : "(top left)");
}

std::string MaskToString(const core::MaskOptions& mask) {
  std::string text;
  if (mask.causal) {
    text += ToString("causal", mask.causal->positions);
    if (!mask.causal->prefix_lengths.empty()) text += ToString("prefix", mask.causal->prefix_lengths);
  }
  if (mask.key_lengths) text += ToString("lengths", *mask.key_lengths);
  if (mask.query_lengths) text += ToString("query lengths", *mask.query_lengths);
  if (mask.window) {
    const auto side = [](const auto& size) { return size ? std::to_string(*size) : "open"; };
    text += " window(" + side(mask.window->left) + ", " + side(mask.window->right) + ")";
  }
  if (mask.boolean) text += " mask" + core::ToString(mask.boolean->shape);
  if (mask.segments) text += " segments";
  if (mask.blocks) {
    text += " blocks of " + std::to_string(mask.blocks->query_block_rows) + " x " +
            std::to_string(mask.blocks->key_block_keys);
  }
  return text;
}

std::string ModifiersToString(const core::ModifierOptions& modifiers) {
  std::string text;
  if (modifiers.bias) {
    text += " bias " + std::string(core::ElementTypeName(modifiers.bias->element_type)) +
            core::ToString(modifiers.bias->shape);
  }
  if (modifiers.alibi_slopes) text += " alibi";
  if (modifiers.bias_place == core::BiasPlace::kBeforeSoftCap) text += " (before the cap)";
  if (modifiers.soft_cap) text += " cap " + std::to_string(*modifiers.soft_cap);
  if (!modifiers.sinks.empty()) text += " sinks";
  return text;
}

}  // namespace

std::string ToString(const AttentionCase& attention) {
  const core::ProblemDescription& description = attention.description;
  std::string text(core::ElementTypeName(description.query.element_type));
  text += description.layout == core::Layout::kBshd ? " BSHD" : " BHSD";
  text += " q" + core::ToString(description.query.shape);
  text += " k" + core::ToString(description.key.shape);
  text += " v" + core::ToString(description.value.shape);
  if (description.ragged) {
    text += ToString("rows", description.ragged->query_offsets) + ToString("keys", description.ragged->key_offsets);
  }
  if (description.scale) text += " scale " + std::to_string(*description.scale);
  text += MaskToString(description.mask);
  if (description.positions.alignment || description.positions.offsets) {
    text += ToString("positions", description.positions);
  }
  text += ModifiersToString(description.modifiers);
  if (description.empty_row == core::EmptyRow::kMeanOfAllValues) text += " mean of all values";
  return text;
}

}  // namespace attnd::test

#include "tests/support/combinations.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "tests/support/draws.h"
#include "tests/support/reference.h"

namespace attnd::test {
namespace {

using core::ElementType;

bool Third(Random& random) { return Chance(1.0 / 3, random); }

std::vector<std::int64_t> Numbers(std::int64_t count, std::int64_t least, std::int64_t largest, Random& random) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  for (std::int64_t& number : numbers) number = Between(least, largest, random);
  return numbers;
}

// One a batch entry, up to what each has.
std::vector<std::int64_t> Lengths(const core::ProblemDescription& description, std::int64_t Entry::* most,
                                  Random& random) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t b = 0; b < SizesOf(description).batch; ++b) {
    lengths.push_back(Between(0, EntryOf(description, b).*most, random));
  }
  return lengths;
}

// Half of all dimensions are those of the padded weights, the others 1; leading ones may be left out, and the last may
// be narrower.
core::Shape BroadcastShape(const AttentionCase& attention, Random& random) {
  const Sizes sizes = SizesOf(attention.description);
  core::Shape weights = {sizes.batch, sizes.query_heads, sizes.query_rows, sizes.keys};
  const std::size_t rank = attention.description.query.shape.size();
  if (rank == 3 && !attention.description.ragged) weights = {sizes.batch, sizes.query_rows, sizes.keys};
  if (rank == 2) weights = {sizes.query_rows, sizes.keys};
  core::Shape shape(weights.begin() + Between(0, std::ssize(weights) - 1, random), weights.end());
  for (std::int64_t& size : shape) {
    if (Third(random)) size = 1;
  }
  if (shape.back() > 2 && Third(random)) shape.back() = Between(2, shape.back(), random);
  return shape;
}

core::PositionOptions Positions(const Sizes& sizes, Random& random) {
  if (Chance(0.5, random)) {
    return {.alignment = Chance(0.5, random) ? core::Alignment::kTopLeft : core::Alignment::kBottomRight,
            .offsets = std::nullopt};
  }
  return {.alignment = std::nullopt, .offsets = Numbers(sizes.batch, -sizes.query_rows, sizes.keys, random)};
}

void AddMasks(AttentionCase& attention, Random& random) {
  core::ProblemDescription& description = attention.description;
  core::MaskOptions& mask = description.mask;
  const Sizes sizes = SizesOf(description);
  if (Third(random)) {
    mask.causal.emplace();
    if (Chance(0.5, random)) mask.causal->prefix_lengths = Lengths(description, &Entry::keys, random);
    if (Chance(0.5, random)) mask.causal->positions = Positions(sizes, random);
  }
  const bool causal_says =
      mask.causal && (mask.causal->positions.alignment.has_value() || mask.causal->positions.offsets.has_value());
  if (!causal_says) description.positions = Positions(sizes, random);
  if (Third(random)) mask.key_lengths = Lengths(description, &Entry::keys, random);
  if (Third(random)) mask.query_lengths = Lengths(description, &Entry::query_rows, random);
  if (Third(random)) {
    mask.window.emplace();
    if (Chance(0.7, random)) mask.window->left = Between(0, sizes.keys, random);
    if (Chance(0.7, random)) mask.window->right = Between(0, sizes.keys, random);
  }
  if (Third(random)) AddBooleanMask(attention, BroadcastShape(attention, random), 0.7, random);
  if (Third(random)) AddSegments(attention, Chance(0.5, random), random);
  if (Third(random)) AddBlockMask(attention, Between(1, 100, random), Between(1, 300, random), 0.7, random);
}

void AddModifiers(AttentionCase& attention, Random& random) {
  core::ProblemDescription& description = attention.description;
  core::ModifierOptions& modifiers = description.modifiers;
  const Sizes sizes = SizesOf(description);
  std::uniform_real_distribution<float> number(-1, 1);
  const auto one_a_head = [&] {
    std::vector<float> numbers(static_cast<std::size_t>(sizes.query_heads));
    for (float& element : numbers) element = number(random);
    return numbers;
  };
  if (Third(random)) {
    const ElementType type = Chance(0.5, random) ? ElementType::kFloat32 : description.query.element_type;
    AddBias(attention, type, BroadcastShape(attention, random), 0.2, random);
  }
  if (Third(random)) {
    modifiers.alibi_slopes = one_a_head();
    for (float& slope : *modifiers.alibi_slopes) slope *= 0.1F;
  }
  if (Third(random)) modifiers.soft_cap = std::uniform_real_distribution<double>(0.5, 20)(random);
  if (Chance(0.5, random)) modifiers.bias_place = core::BiasPlace::kBeforeSoftCap;
  if (Third(random)) {
    modifiers.sinks = one_a_head();
    if (Third(random)) modifiers.sinks.front() = -std::numeric_limits<float>::infinity();
  }
}

}  // namespace

AttentionCase RandomCombination(core::ElementType type, bool ragged, Random& random) {
  CaseOptions options;
  options.element_type = type;
  options.rank = static_cast<int>(Between(2, 4, random));
  Sizes& sizes = options.sizes;
  sizes = {.query_rows = QueryRows(0.25, random),
           .keys = Keys(0.25, random),
           .head_size = Between(1, 96, random),
           // The error of a 16-bit result is held against that of a model: with few elements the model's may be small
           // by luck.
           .value_head_size = Between(type == ElementType::kFloat32 ? 1 : 32, 96, random)};
  if (options.rank > 2 || ragged) sizes.batch = Between(1, 3, random);
  if (options.rank == 4 || ragged) {
    sizes.key_value_heads = Between(1, 2, random);
    sizes.query_heads = sizes.key_value_heads * Between(1, 2, random);
    options.layout = Chance(0.5, random) ? core::Layout::kBshd : core::Layout::kBhsd;
  }
  AttentionCase attention;
  if (ragged) {
    std::vector<std::int64_t> rows = Numbers(sizes.batch + 1, 0, sizes.query_rows, random);
    std::vector<std::int64_t> keys = Numbers(sizes.batch + 1, 0, sizes.keys, random);
    // A tensor has a row at least.
    rows.back() = std::max<std::int64_t>(rows.back(), 1);
    keys.back() = std::max<std::int64_t>(keys.back(), 1);
    attention = MakeRaggedCase(options, rows, keys, random);
  } else {
    attention = MakeCase(options, random);
  }
  core::ProblemDescription& description = attention.description;
  if (Third(random)) description.scale = std::normal_distribution<double>(0, 0.3)(random);
  AddMasks(attention, random);
  AddModifiers(attention, random);
  if (Chance(0.4, random)) description.empty_row = core::EmptyRow::kMeanOfAllValues;
  return attention;
}

void HideNonFinite(AttentionCase& attention) {
  const core::ProblemDescription& description = attention.description;
  const Sizes sizes = SizesOf(description);
  const std::int64_t group = sizes.query_heads / sizes.key_value_heads;
  const auto fill = [](std::vector<double>& data, std::int64_t begin, std::int64_t size) {
    std::fill_n(data.begin() + begin, size, std::numeric_limits<double>::quiet_NaN());
  };
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    const Entry entry = EntryOf(description, b);
    for (std::int64_t kv_head = 0; kv_head < sizes.key_value_heads; ++kv_head) {
      std::vector<bool> seen(static_cast<std::size_t>(entry.keys));
      for (std::int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
        for (std::int64_t i = 0; i < entry.query_rows; ++i) {
          const std::vector<std::int64_t> visible = VisibleKeys(attention, b, h, i);
          for (const std::int64_t j : visible) seen[static_cast<std::size_t>(j)] = true;
          if (!visible.empty()) continue;
          fill(attention.query, QueryRowStart(description, description.query.shape, b, h, i), sizes.head_size);
        }
      }
      for (std::int64_t j = 0; j < entry.keys; ++j) {
        if (seen[static_cast<std::size_t>(j)]) continue;
        fill(attention.key, KeyRowStart(description, description.key.shape, b, kv_head, j), sizes.head_size);
        fill(attention.value, KeyRowStart(description, description.value.shape, b, kv_head, j), sizes.value_head_size);
      }
    }
  }
}

}  // namespace attnd::test

// Sequences without padding: the definition holds for each by itself, and the bits are those of the padded call.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/combinations.h"
#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

using core::ElementType;

class RaggedTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make(const std::vector<std::int64_t>& rows, const std::vector<std::int64_t>& keys) {
    return MakeRaggedCase({.sizes = {.query_heads = 2, .key_value_heads = 1, .head_size = 20, .value_head_size = 36},
                           .element_type = GetParam()},
                          rows, keys, random_);
  }

  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(Ragged, RaggedTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

// The padded batch of the same sequences, whose padding is what a careless caller leaves there.
AttentionCase Padded(const AttentionCase& ragged, Random& random) {
  const core::ProblemDescription& from = ragged.description;
  const Sizes sizes = SizesOf(from);
  AttentionCase padded = MakeCase({.sizes = sizes, .element_type = from.query.element_type}, random);
  core::ProblemDescription& to = padded.description;
  std::vector<std::int64_t> query_lengths;
  std::vector<std::int64_t> key_lengths;
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    const Entry entry = EntryOf(from, b);
    query_lengths.push_back(entry.query_rows);
    key_lengths.push_back(entry.keys);
    for (std::int64_t h = 0; h < sizes.query_heads; ++h) {
      for (std::int64_t i = 0; i < entry.query_rows; ++i) {
        std::copy_n(ragged.query.begin() + QueryRowStart(from, from.query.shape, b, h, i), sizes.head_size,
                    padded.query.begin() + RowStart(to.query.shape, to.layout, b, h, i));
      }
    }
    for (std::int64_t h = 0; h < sizes.key_value_heads; ++h) {
      for (std::int64_t j = 0; j < entry.keys; ++j) {
        std::copy_n(ragged.key.begin() + KeyRowStart(from, from.key.shape, b, h, j), sizes.head_size,
                    padded.key.begin() + RowStart(to.key.shape, to.layout, b, h, j));
        std::copy_n(ragged.value.begin() + KeyRowStart(from, from.value.shape, b, h, j), sizes.value_head_size,
                    padded.value.begin() + RowStart(to.value.shape, to.layout, b, h, j));
      }
    }
  }
  to.mask.query_lengths = query_lengths;
  to.mask.key_lengths = key_lengths;
  return padded;
}

void ExpectSameBits(const AttentionCase& ragged, const Answer& ragged_answer, const AttentionCase& padded,
                    const Answer& padded_answer) {
  const Sizes sizes = SizesOf(ragged.description);
  core::Shape ragged_output = ragged.description.query.shape;
  core::Shape padded_output = padded.description.query.shape;
  ragged_output.back() = padded_output.back() = sizes.value_head_size;
  const auto same = [](const std::vector<double>& left, std::int64_t left_begin, const std::vector<double>& right,
                       std::int64_t right_begin, std::int64_t size) {
    return std::equal(left.begin() + left_begin, left.begin() + left_begin + size, right.begin() + right_begin);
  };
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    for (std::int64_t h = 0; h < sizes.query_heads; ++h) {
      for (std::int64_t i = 0; i < EntryOf(ragged.description, b).query_rows; ++i) {
        const std::int64_t ragged_row = RowIndex(ragged.description, b, h, i);
        const std::int64_t padded_row = RowIndex(padded.description, b, h, i);
        ASSERT_TRUE(same(ragged_answer.output, QueryRowStart(ragged.description, ragged_output, b, h, i),
                         padded_answer.output, RowStart(padded_output, padded.description.layout, b, h, i),
                         sizes.value_head_size) &&
                    same(ragged_answer.weights, ragged_row * sizes.keys, padded_answer.weights, padded_row * sizes.keys,
                         sizes.keys) &&
                    same(ragged_answer.log_sum_exp, ragged_row, padded_answer.log_sum_exp, padded_row, 1))
            << "row " << b << ", " << h << ", " << i << " of " << ToString(ragged);
      }
    }
  }
}

const std::vector<std::vector<std::int64_t>> kLengths = {
    {1}, {15, 9, 12}, {0, 5, 0, 530, 0}, {64, 65, 128, 512}, {513, 1, 1}};

TEST_P(RaggedTest, SelfAttention) {
  for (const std::vector<std::int64_t>& lengths : kLengths) {
    AttentionCase attention = Make(lengths, lengths);
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
    attention.description.mask.causal.emplace();
    ExpectCorrect(attention, Attend(SharedEngine(), attention));
  }
}

TEST_P(RaggedTest, CrossAttentionAndSequencesWithoutRowsOrKeys) {
  for (const core::EmptyRow empty_row : {core::EmptyRow::kZero, core::EmptyRow::kMeanOfAllValues}) {
    AttentionCase attention = Make({3, 0, 70, 5}, {0, 17, 600, 1});
    attention.description.empty_row = empty_row;
    const Answer answer = Attend(SharedEngine(), attention);
    ExpectCorrect(attention, answer);
    EXPECT_EQ(answer.empty_rows, 2 * 3);
  }
}

TEST_P(RaggedTest, HasTheBitsOfThePaddedCall) {
  for (const std::vector<std::int64_t>& lengths : kLengths) {
    AttentionCase ragged = Make(lengths, lengths);
    AttentionCase padded = Padded(ragged, random_);
    ExpectSameBits(ragged, Attend(SharedEngine(), ragged), padded, Attend(SharedEngine(), padded));
  }
}

// Masks and biases of the padded shape hold for the sequences as they do for the padded batch.
TEST_P(RaggedTest, HasTheBitsOfThePaddedCallWithAnyOptions) {
  for (int n = 0; n < 60 && !HasFailure(); ++n) {
    AttentionCase ragged = RandomCombination(GetParam(), true, random_);
    core::ProblemDescription& from = ragged.description;
    const Sizes sizes = SizesOf(from);
    // By number, since alignment is that of shapes; ids have another shape in a padded batch.
    from.mask.segments.reset();
    ragged.query_segment_ids.clear();
    ragged.key_segment_ids.clear();
    from.size_bytes[core::Input::kQuerySegmentIds] = from.size_bytes[core::Input::kKeySegmentIds] = 0;
    from.positions = {.alignment = {}, .offsets = std::vector<std::int64_t>(static_cast<std::size_t>(sizes.batch), 3)};
    if (from.mask.causal) from.mask.causal->positions = {};
    from.empty_row = core::EmptyRow::kZero;
    AttentionCase padded = Padded(ragged, random_);
    core::ProblemDescription& to = padded.description;
    const std::vector<std::int64_t> query_lengths = *to.mask.query_lengths;
    const std::vector<std::int64_t> key_lengths = *to.mask.key_lengths;
    to.mask = from.mask;
    if (!to.mask.query_lengths) to.mask.query_lengths = query_lengths;
    if (!to.mask.key_lengths) to.mask.key_lengths = key_lengths;
    to.positions = from.positions;
    to.modifiers = from.modifiers;
    to.scale = from.scale;
    padded.mask = ragged.mask;
    padded.bias = ragged.bias;
    padded.block_mask = ragged.block_mask;
    for (const core::Input name : {core::Input::kMask, core::Input::kBias, core::Input::kBlockMask}) {
      to.size_bytes[name] = from.size_bytes[name];
    }
    ExpectSameBits(ragged, Attend(SharedEngine(), ragged), padded, Attend(SharedEngine(), padded));
  }
}

// Neither the order of sequences nor what else is in the batch changes a row.
TEST_P(RaggedTest, HasTheSameBitsWithAnyNumberOfWorkers) {
  const AttentionCase attention = Make({300, 1, 0, 77, 290}, {550, 3, 20, 70, 1100});
  const auto expected = AttendForBytes(SharedEngine(), attention);
  for (const int workers : {2, 3, 5}) {
    core::Engine engine(core::EngineOptions{.worker_count = workers});
    EXPECT_TRUE(AttendForBytes(engine, attention) == expected) << workers << " workers";
  }
}

}  // namespace
}  // namespace attnd::test

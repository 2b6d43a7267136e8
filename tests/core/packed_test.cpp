// Keys and values that were packed before the call: the answers have the bits that they have without.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/packed_keys_values.h"
#include "tests/support/combinations.h"
#include "tests/support/engine_call.h"
#include "tests/support/seed.h"
#include "tests/support/summary_expectations.h"

namespace attnd::test {
namespace {

using core::ElementType;
using Packed = std::unique_ptr<const core::PackedKeysValues>;

Packed Pack(core::Engine& engine, const AttentionCase& attention) {
  EngineCall call(attention);
  absl::StatusOr<Packed> packed = engine.Pack(call.problem(), call.tensors());
  EXPECT_TRUE(packed.ok()) << packed.status();
  return packed.ok() ? *std::move(packed) : nullptr;
}

absl::StatusOr<std::vector<std::uint8_t>> AttendToPacked(core::Engine& engine, const AttentionCase& attention,
                                                         const core::PackedKeysValues& packed) {
  EngineCall call(attention);
  core::Tensors tensors = call.tensors();
  tensors.key = nullptr;
  tensors.value = nullptr;
  tensors.packed = &packed;
  const absl::StatusOr<core::Report> report = engine.Run(call.problem(), tensors);
  if (!report.ok()) return report.status();
  EXPECT_TRUE(call.GuardsAreIntact());
  return call.OutputBytes();
}

void ExpectSameBits(core::Engine& engine, const AttentionCase& attention, const core::PackedKeysValues& packed) {
  const absl::StatusOr<std::vector<std::uint8_t>> bytes = AttendToPacked(engine, attention, packed);
  ASSERT_TRUE(bytes.ok()) << bytes.status() << "\n" << ToString(attention);
  EXPECT_EQ(*bytes, AttendForBytes(engine, attention)) << ToString(attention);
}

// Two heads that each serve two, past several tiles of queries and keys.
constexpr Sizes kSizes = {.batch = 2,
                          .query_heads = 4,
                          .key_value_heads = 2,
                          .query_rows = 70,
                          .keys = 1099,
                          .head_size = 40,
                          .value_head_size = 72};

class PackedTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make(const Sizes& sizes) { return MakeCase({.sizes = sizes, .element_type = GetParam()}, random_); }

  void SpoilValues(AttentionCase& attention) {
    if (attention.value.empty()) return;
    for (const double number : {std::nan(""), std::numeric_limits<double>::infinity()}) {
      attention.value[random_() % attention.value.size()] = number;
    }
  }

  Random random_ = SeededRandom();
  core::Engine engine_{core::EngineOptions{.worker_count = 2}};
};
INSTANTIATE_TEST_SUITE_P(Packed, PackedTest,
                         ::testing::Values(ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

TEST_P(PackedTest, AnyProblemHasTheSameBits) {
  for (int n = 0; n < 40 && !HasFailure(); ++n) {
    AttentionCase attention = RandomCombination(GetParam(), n % 3 == 0, random_);
    if (n % 4 == 0) attention.description.summaries = RandomSummaries(attention, random_);
    if (n % 2 == 0) SpoilValues(attention);
    const Packed packed = Pack(engine_, attention);
    ASSERT_NE(packed, nullptr);
    ExpectSameBits(engine_, attention, *packed);
  }
}

TEST_P(PackedTest, ServesOtherQueriesMasksAndLengths) {
  AttentionCase first = Make(kSizes);
  SpoilValues(first);
  const Packed packed = Pack(engine_, first);
  ASSERT_NE(packed, nullptr);
  for (const std::int64_t rows : {1, 16, 139}) {
    Sizes sizes = kSizes;
    sizes.query_rows = rows;
    AttentionCase other = Make(sizes);
    other.key = first.key;
    other.value = first.value;
    ExpectSameBits(engine_, other, *packed);
    other.description.mask.causal = Causal(core::Alignment::kBottomRight);
    ExpectSameBits(engine_, other, *packed);
    other.description.mask.key_lengths = {{1099, 200}};
    ExpectSameBits(engine_, other, *packed);
  }
}

TEST_P(PackedTest, ServesLongerLengthsThanThoseItWasMadeWith) {
  AttentionCase attention = Make(kSizes);
  attention.description.mask.key_lengths = {{3, 600}};
  const Packed packed = Pack(engine_, attention);
  ASSERT_NE(packed, nullptr);
  attention.description.mask.key_lengths = {{700, 1099}};
  ExpectSameBits(engine_, attention, *packed);
}

TEST_P(PackedTest, EmptyRowsAreAsTheCallAsks) {
  AttentionCase attention = Make(kSizes);
  attention.description.mask.key_lengths = {{0, 600}};
  attention.description.empty_row = core::EmptyRow::kMeanOfAllValues;
  const Packed packed = Pack(engine_, attention);
  ASSERT_NE(packed, nullptr);
  ExpectSameBits(engine_, attention, *packed);
  attention.description.empty_row = core::EmptyRow::kZero;
  ExpectSameBits(engine_, attention, *packed);
}

TEST_P(PackedTest, TakesAsMuchMemoryAsItsKeysAndValues) {
  Sizes sizes = kSizes;
  sizes.keys = 1024;
  sizes.head_size = sizes.value_head_size = 64;
  const Packed packed = Pack(engine_, Make(sizes));
  ASSERT_NE(packed, nullptr);
  const std::int64_t elements = 2 * sizes.batch * sizes.key_value_heads * sizes.keys * sizes.head_size;
  // A half type is packed as it is, or as float32 where no kernel multiplies it.
  EXPECT_THAT(packed->size_bytes(), ::testing::AnyOf(elements * static_cast<std::int64_t>(ElementSizeBytes(GetParam())),
                                                     elements * static_cast<std::int64_t>(sizeof(float))));
}

TEST_P(PackedTest, WhatDoesNotFitIsRefused) {
  const Packed packed = Pack(engine_, Make(kSizes));
  ASSERT_NE(packed, nullptr);
  Sizes fewer_keys = kSizes;
  fewer_keys.keys = 1098;
  const absl::Status fewer = AttendToPacked(engine_, Make(fewer_keys), *packed).status();
  EXPECT_EQ(fewer.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(fewer.message()),
              ::testing::AllOf(::testing::HasSubstr("1098 keys"), ::testing::HasSubstr("1099 keys")));
  AttentionCase wants_mean = Make(kSizes);
  wants_mean.description.empty_row = core::EmptyRow::kMeanOfAllValues;
  EXPECT_EQ(AttendToPacked(engine_, wants_mean, *packed).status().code(), absl::StatusCode::kInvalidArgument);
  const auto ragged = [&](const std::vector<std::int64_t>& keys) {
    return MakeRaggedCase({.sizes = kSizes, .element_type = GetParam()}, {3, 5}, keys, random_);
  };
  const Packed packed_ragged = Pack(engine_, ragged({600, 100}));
  ASSERT_NE(packed_ragged, nullptr);
  EXPECT_EQ(AttendToPacked(engine_, ragged({600, 90}), *packed_ragged).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace attnd::test

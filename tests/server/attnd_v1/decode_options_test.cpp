// Every option of the interface: it reaches the core as it is, and what it holds that is not known is refused.
#include <absl/strings/str_cat.h>
#include <attnd/v1/attention.pb.h>
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/attnd_v1/every_field.h"
#include "tests/server/attnd_v1/wire.h"
#include "tests/support/attend_request.h"

namespace attnd::test {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using testing::HasSubstr;

// Every field, but for the layout, which a ragged batch must not have.
v1::AttendRequest EveryField() {
  v1::AttendRequest request;
  FillEveryField(request);
  request.mutable_problem()->clear_layout();
  return request;
}

absl::StatusOr<Decoded> DecodeInPieces(const v1::AttendRequest& request) {
  return Decode(CutEvery(request.SerializeAsString(), 100));
}

void ExpectRefused(const v1::AttendRequest& request, const std::string& text) {
  const absl::StatusOr<Decoded> decoded = DecodeInPieces(request);
  EXPECT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument) << text;
  EXPECT_THAT(decoded.status().message(), HasSubstr(text));
  EXPECT_FALSE(DecodeByReference(request.SerializeAsString()).ok()) << text;
}

TEST(DecodeOptions, EveryOptionReachesTheCore) {
  const v1::AttendRequest request = EveryField();
  const absl::StatusOr<Decoded> decoded = DecodeInPieces(request);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(ToProblem(decoded->description).DebugString(), request.problem().DebugString());
  v1::AttendRequest of_elements = request;
  EXPECT_EQ(ToString(*decoded), ToString(*DecodeByReference(request.SerializeAsString())));
  const core::PerInput<std::string> elements = TakeElements(of_elements);
  for (const core::Input input : core::kInputs) {
    EXPECT_EQ(decoded->elements[input], elements[input]);
    EXPECT_EQ(decoded->description.size_bytes[input], static_cast<std::int64_t>(elements[input].size()));
  }
}

// The values of an enumeration that EveryField does not give.
TEST(DecodeOptions, EveryValueOfAnEnumerationReachesTheCore) {
  v1::AttendRequest request = EveryField();
  v1::Summaries& summaries = *request.mutable_problem()->mutable_summaries();
  const auto expect_the_same = [&] {
    const absl::StatusOr<Decoded> decoded = DecodeInPieces(request);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(ToProblem(decoded->description).DebugString(), request.problem().DebugString());
  };
  for (int stage = v1::MATRIX_STAGE_SCALED; stage <= v1::MATRIX_STAGE_WEIGHTS; ++stage) {
    summaries.mutable_matrix()->set_stage(static_cast<v1::MatrixStage>(stage));
    expect_the_same();
  }
  for (int reduction = v1::HEAD_REDUCTION_UNSPECIFIED; reduction <= v1::HEAD_REDUCTION_SUM; ++reduction) {
    summaries.set_head_reduction(static_cast<v1::HeadReduction>(reduction));
    expect_the_same();
  }
  for (const auto pooling : {v1::PooledMap::POOLING_MEAN, v1::PooledMap::POOLING_MAXIMUM}) {
    summaries.mutable_pooled_map()->set_pooling(pooling);
    expect_the_same();
  }
  for (int alignment = 0; alignment <= v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT; ++alignment) {
    request.mutable_problem()->mutable_positions()->set_alignment(static_cast<v1::CausalMask::Alignment>(alignment));
    expect_the_same();
  }
}

// What is not given is its default.
TEST(DecodeOptions, WithoutAnyTheCoreHasItsDefaults) {
  v1::AttendRequest request;
  *request.mutable_problem()->mutable_query() = EveryField().problem().query();
  *request.mutable_problem()->mutable_tensors() = EveryField().problem().tensors();
  const absl::StatusOr<Decoded> decoded = DecodeInPieces(request);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  core::ProblemDescription expected;
  expected.query = decoded->description.query;
  expected.key = decoded->description.key;
  expected.value = decoded->description.value;
  EXPECT_EQ(ToProblem(decoded->description).DebugString(), ToProblem(expected).DebugString());
  EXPECT_FALSE(decoded->description.positions.alignment.has_value());
  EXPECT_FALSE(decoded->description.summaries.matrix.has_value());
}

TEST(DecodeOptions, AnUnknownFieldIsRefusedAtEveryLevel) {
  v1::AttendRequest request = EveryField();
  std::vector<std::string> paths;
  VisitMessages(request, [&](Message& message, const std::string& path) {
    paths.push_back(path);
    message.GetReflection()->MutableUnknownFields(&message)->AddVarint(99, 1);
    ExpectRefused(request,
                  absl::StrCat(path.empty() ? "request" : path, ": field 99 of ", message.GetDescriptor()->full_name(),
                               " found, which this server does not know"));
    message.GetReflection()->MutableUnknownFields(&message)->Clear();
  });
  EXPECT_THAT(paths, testing::IsSupersetOf({"", "problem.mask.segments.query", "problem.summaries.pooled_map"}));
}

TEST(DecodeOptions, AnUnknownValueOfEveryEnumerationIsRefused) {
  v1::AttendRequest request = EveryField();
  int enumerations = 0;
  VisitMessages(request, [&](Message& message, const std::string& path) {
    std::vector<const FieldDescriptor*> fields;
    message.GetReflection()->ListFields(message, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_ENUM) continue;
      ++enumerations;
      const int good = message.GetReflection()->GetEnumValue(message, field);
      message.GetReflection()->SetEnumValue(&message, field, 99);
      ExpectRefused(request,
                    absl::StrCat(path, ".", field->name(), ": value 99 found, which this server does not know; ",
                                 "a value of ", field->enum_type()->full_name(), " expected"));
      message.GetReflection()->SetEnumValue(&message, field, good);
    }
  });
  EXPECT_GT(enumerations, 10);
}

TEST(DecodeOptions, ATensorThatAnOptionNeedsIsRefusedByName) {
  const auto expect = [](const auto& change, const std::string& text) {
    v1::AttendRequest request = EveryField();
    change(*request.mutable_problem());
    ExpectRefused(request, text);
  };
  const std::string not_given = ": not given, a TensorDescription expected";
  expect([](auto& p) { p.mutable_mask()->mutable_boolean()->clear_tensor(); },
         "problem.mask.boolean.tensor" + not_given);
  expect([](auto& p) { p.mutable_mask()->mutable_segments()->clear_query(); },
         "problem.mask.segments.query" + not_given);
  expect([](auto& p) { p.mutable_mask()->mutable_segments()->clear_key(); }, "problem.mask.segments.key" + not_given);
  expect([](auto& p) { p.mutable_mask()->mutable_blocks()->clear_tensor(); }, "problem.mask.blocks.tensor" + not_given);
  expect([](auto& p) { p.mutable_bias()->clear_tensor(); }, "problem.bias.tensor" + not_given);
  expect([](auto& p) { p.mutable_bias()->mutable_tensor()->clear_element_type(); },
         "problem.bias.tensor.element_type: not given, an ElementType expected");
}

TEST(DecodeOptions, ALayoutBesideARaggedBatchIsRefused) {
  v1::AttendRequest request = EveryField();
  request.mutable_problem()->set_layout(v1::LAYOUT_BHSD);
  ExpectRefused(request,
                "problem.layout: LAYOUT_BHSD (1) found, LAYOUT_UNSPECIFIED (0) expected beside problem.ragged");
  request.mutable_problem()->set_layout(v1::LAYOUT_BSHD);
  ExpectRefused(request,
                "problem.layout: LAYOUT_BSHD (2) found, LAYOUT_UNSPECIFIED (0) expected beside problem.ragged");
}

}  // namespace
}  // namespace attnd::test

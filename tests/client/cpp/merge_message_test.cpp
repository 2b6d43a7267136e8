// MergePartials' messages: what is sent, what is refused before, and what is taken for an answer.
#include "client/cpp/merge_message.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace attnd {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint16_t kOutputs[][4] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
constexpr float kLogSumExps[][2] = {{1, 2}, {3, 4}};

PartialResult Part(int n) {
  return {.output = {ElementType::kBfloat16, {2, 2}, kOutputs[n]},
          .log_sum_exp = {ElementType::kFloat32, {2}, kLogSumExps[n]}};
}

std::string Bytes(const void* data, std::size_t size_bytes) { return {static_cast<const char*>(data), size_bytes}; }

TEST(MergeMessage, PartsFollowEachOther) {
  const auto request = EncodeMerge({Part(0), Part(1)});
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->output().element_type(), v1::ELEMENT_TYPE_BFLOAT16);
  EXPECT_THAT(request->output().shape(), ElementsAre(2, 2, 2));
  EXPECT_EQ(request->output_data(), Bytes(kOutputs, sizeof kOutputs));
  EXPECT_EQ(request->log_sum_exp().element_type(), v1::ELEMENT_TYPE_FLOAT32);
  EXPECT_THAT(request->log_sum_exp().shape(), ElementsAre(2, 2));
  EXPECT_EQ(request->log_sum_exp_data(), Bytes(kLogSumExps, sizeof kLogSumExps));
}

void ExpectRefused(const std::vector<PartialResult>& parts, absl::StatusCode code, const std::string& name,
                   const std::string& found) {
  const absl::Status status = EncodeMerge(parts).status();
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(name), HasSubstr(found)));
}

TEST(MergeMessage, PartsMustBeAlike) {
  PartialResult other = Part(1);
  other.output.shape = {1, 2};
  ExpectRefused({Part(0), other}, absl::StatusCode::kInvalidArgument, "parts[1].output",
                "bfloat16 [1, 2] found, bfloat16 [2, 2]");
  other = Part(1);
  other.log_sum_exp.element_type = ElementType::kFloat16;
  ExpectRefused({Part(0), other}, absl::StatusCode::kInvalidArgument, "parts[1].log_sum_exp", "float16 [2] found");
}

TEST(MergeMessage, RefusesWhatIsNoTensorAndNothingAtAll) {
  ExpectRefused({}, absl::StatusCode::kInvalidArgument, "parts", "none");
  PartialResult part = Part(0);
  part.log_sum_exp.data = nullptr;
  ExpectRefused({Part(0), part}, absl::StatusCode::kInvalidArgument, "parts[1].log_sum_exp", "null");
  part = Part(0);
  part.output.shape = {-1};
  ExpectRefused({part}, absl::StatusCode::kInvalidArgument, "parts[0].output", "-1");
}

// None of these bytes is read.
TEST(MergeMessage, RefusesWhatNoMessageCanHold) {
  PartialResult part = Part(0);
  part.output.shape = {std::int64_t{1} << 28, 2};
  ExpectRefused({part, part}, absl::StatusCode::kResourceExhausted, "output", "2 GiB");
}

v1::MergePartialsResponse Response() {
  v1::MergePartialsResponse response;
  response.mutable_output()->set_element_type(v1::ELEMENT_TYPE_BFLOAT16);
  response.mutable_output()->add_shape(2);
  response.mutable_output()->add_shape(2);
  response.set_output_data("abcdefgh");
  response.mutable_log_sum_exp()->set_element_type(v1::ELEMENT_TYPE_FLOAT32);
  response.mutable_log_sum_exp()->add_shape(2);
  response.set_log_sum_exp_data("ABCDEFGH");
  return response;
}

TEST(MergeMessage, AnAnswerHasBothTensors) {
  const auto merged = DecodeMerge(Response());
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->output.element_type(), ElementType::kBfloat16);
  EXPECT_EQ(merged->output.shape(), (Shape{2, 2}));
  EXPECT_EQ(Bytes(merged->output.data(), 8), "abcdefgh");
  EXPECT_EQ(merged->log_sum_exp.shape(), (Shape{2}));
  EXPECT_EQ(Bytes(merged->log_sum_exp.data(), 8), "ABCDEFGH");
}

TEST(MergeMessage, AnAnswerThatContradictsItselfIsNone) {
  v1::MergePartialsResponse response = Response();
  response.set_log_sum_exp_data("ABC");
  const absl::Status status = DecodeMerge(response).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("log_sum_exp"), HasSubstr("3 bytes")));
  response = Response();
  response.clear_output();
  EXPECT_EQ(DecodeMerge(response).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace attnd

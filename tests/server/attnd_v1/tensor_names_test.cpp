// The interface numbers tensors in the core's order: fields, names and sizes of the same tensor agree.
#include "server/attnd_v1/tensor_names.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace attnd::server::attnd_v1 {
namespace {

// In the core's order.
const std::vector<std::string> kInputNames = {
    "query", "key", "value", "mask", "bias", "query_segment_ids", "key_segment_ids", "block_mask"};
const std::vector<std::string> kOutputNames = {
    "output",    "weights",        "log_sum_exp",       "matrix",        "top_keys",     "top_weights",
    "entropy",   "largest_weight", "first_keys_weight", "mean_distance", "received_sum", "received_maximum",
    "pooled_map"};

std::string FieldName(const google::protobuf::Descriptor& type, int number) {
  const google::protobuf::FieldDescriptor* field = type.FindFieldByNumber(number);
  return field == nullptr ? "" : std::string(field->name());
}

std::string NameInCapitals(const std::string& name) { return "TENSOR_NAME_" + absl::AsciiStrToUpper(name); }

TEST(TensorNames, OfARequestAgree) {
  ASSERT_EQ(kInputNames.size(), core::kInputCount);
  for (const core::Input input : core::kInputs) {
    const std::string& name = kInputNames[static_cast<std::size_t>(input)];
    EXPECT_EQ(FieldName(*v1::AttendRequest::descriptor(), DataFieldNumber(input)), name + "_data");
    EXPECT_EQ(v1::TensorName_Name(ToProto(input)), NameInCapitals(name));
    EXPECT_EQ(FieldName(*v1::StreamStart::descriptor(), 2 + static_cast<int>(input)), name + "_size_bytes");
    EXPECT_EQ(InputOfField(DataFieldNumber(input)), input);
    EXPECT_EQ(FromProto(ToProto(input)), input);
  }
}

TEST(TensorNames, OfAnAnswerAgree) {
  ASSERT_EQ(kOutputNames.size(), core::kOutputCount);
  for (const core::Output output : core::kOutputs) {
    const std::string& name = kOutputNames[static_cast<std::size_t>(output)];
    EXPECT_EQ(FieldName(*v1::AttendResponse::descriptor(), DataFieldNumber(output)), name + "_data");
    EXPECT_EQ(v1::TensorName_Name(ToProto(output)), NameInCapitals(name));
    EXPECT_NE(v1::AttentionResult::descriptor()->FindFieldByName(name), nullptr) << name;
    EXPECT_FALSE(FromProto(ToProto(output)).has_value());
  }
}

TEST(TensorNames, OthersAreNone) {
  for (const int number : {0, 1, 999, 1008, 1 << 28}) EXPECT_FALSE(InputOfField(number).has_value()) << number;
  for (const int number : {-1, 0, 9, 15, 29}) EXPECT_FALSE(FromProto(static_cast<v1::TensorName>(number)).has_value());
}

// A tensor that the interface gains is not forgotten here.
TEST(TensorNames, AllAreKnown) {
  EXPECT_EQ(v1::TensorName_descriptor()->value_count(), static_cast<int>(core::kInputCount + core::kOutputCount) + 1);
  EXPECT_EQ(v1::AttendRequest::descriptor()->field_count(), static_cast<int>(core::kInputCount) + 1);
  EXPECT_EQ(v1::AttendResponse::descriptor()->field_count(), static_cast<int>(core::kOutputCount) + 1);
  EXPECT_EQ(v1::AttentionResult::descriptor()->field_count(), static_cast<int>(core::kOutputCount) + 1);
  EXPECT_EQ(v1::StreamStart::descriptor()->field_count(), static_cast<int>(core::kInputCount) + 1);
}

}  // namespace
}  // namespace attnd::server::attnd_v1

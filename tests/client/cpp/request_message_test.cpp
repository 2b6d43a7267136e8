// What the client writes, held against protobuf's own serialisation of the same message.
#include "client/cpp/request_message.h"

#include <absl/status/status.h>
#include <attnd/v1/attention.pb.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>

namespace attnd {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr float kQuery[] = {1, 2, 3, 4};
constexpr float kKey[] = {5, 6, 7, 8, 9, 10};
constexpr float kValue[] = {11, 12, 13};
constexpr std::uint8_t kMask[] = {1, 0, 1};

AttendRequest MinimalRequest() {
  return {.query = {ElementType::kFloat32, {2, 2}, kQuery},
          .key = {ElementType::kFloat32, {3, 2}, kKey},
          .value = {ElementType::kFloat32, {3, 1}, kValue}};
}

void SetTensor(v1::TensorDescription& tensor, v1::ElementType type, std::initializer_list<std::int64_t> shape) {
  tensor.set_element_type(type);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
}

// The message of MinimalRequest.
v1::AttendRequest MinimalMessage() {
  v1::AttendRequest message;
  v1::AttentionProblem& problem = *message.mutable_problem();
  SetTensor(*problem.mutable_query(), v1::ELEMENT_TYPE_FLOAT32, {2, 2});
  SetTensor(*problem.mutable_tensors()->mutable_key(), v1::ELEMENT_TYPE_FLOAT32, {3, 2});
  SetTensor(*problem.mutable_tensors()->mutable_value(), v1::ELEMENT_TYPE_FLOAT32, {3, 1});
  problem.set_layout(v1::LAYOUT_BHSD);
  problem.set_empty_row(v1::EMPTY_ROW_ZERO);
  message.set_query_data(kQuery, sizeof kQuery);
  message.set_key_data(kKey, sizeof kKey);
  message.set_value_data(kValue, sizeof kValue);
  return message;
}

std::string Written(const AttendRequest& request) {
  const auto parts = EncodeRequest(request);
  if (!parts.ok()) {
    ADD_FAILURE() << parts.status();
    return "";
  }
  std::string bytes;
  for (const MessagePart& part : *parts) {
    bytes += part.owned;
    if (part.borrowed != nullptr) bytes.append(static_cast<const char*>(part.borrowed), part.borrowed_size_bytes);
  }
  return bytes;
}

TEST(RequestMessage, IsWhatProtobufWouldWrite) {
  EXPECT_EQ(Written(MinimalRequest()), MinimalMessage().SerializeAsString());
}

TEST(RequestMessage, HoldsEveryOption) {
  AttendRequest request = MinimalRequest();
  request.layout = Layout::kBshd;
  request.scale = 0.25;
  request.mask = {.causal = CausalAlignment::kBottomRight,
                  .key_lengths = std::vector<std::int64_t>{3, 0, 200},
                  .boolean = TensorView{ElementType::kBool, {1, 3}, kMask}};
  request.empty_row = EmptyRow::kMeanOfAllValues;
  request.return_weights = true;
  request.return_log_sum_exp = true;

  v1::AttendRequest message = MinimalMessage();
  v1::AttentionProblem& problem = *message.mutable_problem();
  problem.set_layout(v1::LAYOUT_BSHD);
  problem.set_scale(0.25);
  problem.mutable_mask()->mutable_causal()->set_alignment(v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT);
  for (const std::int64_t length : {3, 0, 200}) problem.mutable_mask()->mutable_key_lengths()->add_lengths(length);
  SetTensor(*problem.mutable_mask()->mutable_boolean()->mutable_tensor(), v1::ELEMENT_TYPE_BOOL, {1, 3});
  problem.set_empty_row(v1::EMPTY_ROW_MEAN_OF_ALL_VALUES);
  problem.set_return_weights(true);
  problem.set_return_log_sum_exp(true);
  message.set_mask_data(kMask, sizeof kMask);
  EXPECT_EQ(Written(request), message.SerializeAsString());
}

TEST(RequestMessage, HoldsCausalOffsets) {
  AttendRequest request = MinimalRequest();
  request.mask.causal_offsets = std::vector<std::int64_t>{7, -1};
  v1::AttendRequest message = MinimalMessage();
  for (const std::int64_t offset : {7, -1}) {
    message.mutable_problem()->mutable_mask()->mutable_causal()->add_offsets(offset);
  }
  EXPECT_EQ(Written(request), message.SerializeAsString());
}

// On the wire it would be the mask that an unspecified alignment is.
TEST(RequestMessage, RefusesCausalOffsetsWithoutAny) {
  AttendRequest request = MinimalRequest();
  request.mask.causal_offsets = std::vector<std::int64_t>{};
  const absl::Status status = EncodeRequest(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("mask.causal.offsets"));
}

TEST(RequestMessage, AGivenScaleOfZeroIsSent) {
  AttendRequest request = MinimalRequest();
  request.scale = 0;
  v1::AttendRequest message;
  ASSERT_TRUE(message.ParseFromString(Written(request)));
  EXPECT_TRUE(message.problem().has_scale());
}

TEST(RequestMessage, AMaskThatHidesEverythingIsNotNoMask) {
  AttendRequest request = MinimalRequest();
  request.mask.key_lengths = std::vector<std::int64_t>{};
  v1::AttendRequest message;
  ASSERT_TRUE(message.ParseFromString(Written(request)));
  EXPECT_TRUE(message.problem().mask().has_key_lengths());
}

TEST(RequestMessage, NamesEveryElementType) {
  const std::pair<ElementType, v1::ElementType> types[] = {{ElementType::kFloat32, v1::ELEMENT_TYPE_FLOAT32},
                                                           {ElementType::kBfloat16, v1::ELEMENT_TYPE_BFLOAT16},
                                                           {ElementType::kFloat16, v1::ELEMENT_TYPE_FLOAT16},
                                                           {ElementType::kInt32, v1::ELEMENT_TYPE_INT32},
                                                           {ElementType::kBool, v1::ELEMENT_TYPE_BOOL}};
  for (const auto& [type, sent] : types) {
    AttendRequest request = MinimalRequest();
    request.query.element_type = type;
    v1::AttendRequest message;
    ASSERT_TRUE(message.ParseFromString(Written(request)));
    EXPECT_EQ(message.problem().query().element_type(), sent);
    EXPECT_EQ(message.query_data().size(), 4 * ElementSizeBytes(type));
  }
}

TEST(RequestMessage, NamesEveryAlignment) {
  for (const auto& [alignment, sent] :
       {std::pair(CausalAlignment::kUnspecified, v1::CausalMask::ALIGNMENT_UNSPECIFIED),
        std::pair(CausalAlignment::kTopLeft, v1::CausalMask::ALIGNMENT_TOP_LEFT),
        std::pair(CausalAlignment::kBottomRight, v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT)}) {
    AttendRequest request = MinimalRequest();
    request.mask.causal = alignment;
    v1::AttendRequest message;
    ASSERT_TRUE(message.ParseFromString(Written(request)));
    EXPECT_TRUE(message.problem().mask().has_causal());
    EXPECT_EQ(message.problem().mask().causal().alignment(), sent);
  }
}

TEST(RequestMessage, RefersToTheCallersTensors) {
  AttendRequest request = MinimalRequest();
  request.mask.boolean = TensorView{ElementType::kBool, {1, 3}, kMask};
  const auto parts = EncodeRequest(request);
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ(parts->size(), 5);
  EXPECT_EQ((*parts)[0].borrowed, nullptr);
  EXPECT_EQ((*parts)[1].borrowed, kQuery);
  EXPECT_EQ((*parts)[2].borrowed, kKey);
  EXPECT_EQ((*parts)[3].borrowed, kValue);
  EXPECT_EQ((*parts)[4].borrowed, kMask);
}

TEST(RequestMessage, LeavesAnEmptyTensorToTheServer) {
  AttendRequest request = MinimalRequest();
  request.query = {ElementType::kFloat32, {0, 2}, nullptr};
  v1::AttendRequest message;
  ASSERT_TRUE(message.ParseFromString(Written(request)));
  EXPECT_EQ(message.problem().query().shape(0), 0);
  EXPECT_TRUE(message.query_data().empty());
}

TEST(RequestMessage, RefusesATensorWithoutData) {
  AttendRequest request = MinimalRequest();
  request.key.data = nullptr;
  const absl::Status status = EncodeRequest(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("key"), HasSubstr("null"), HasSubstr("24 bytes")));
}

TEST(RequestMessage, RefusesAShapeWithoutASize) {
  AttendRequest request = MinimalRequest();
  request.value.shape = {std::numeric_limits<std::int64_t>::max(), 2};
  EXPECT_EQ(EncodeRequest(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.value.shape = {-1};
  EXPECT_EQ(EncodeRequest(request).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(RequestMessage, RefusesWhatNoMessageCanHold) {
  // None of these bytes is read.
  AttendRequest request = MinimalRequest();
  const std::int64_t half = (std::int64_t{1} << 30) / static_cast<std::int64_t>(sizeof(float));
  request.query.shape = {half};
  request.key.shape = {half};
  const absl::Status status = EncodeRequest(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("key"), HasSubstr("2 GiB")));
}

TEST(RequestMessage, TakesTheLargestMessageAndNotAByteMore) {
  AttendRequest request = MinimalRequest();
  request.query.element_type = ElementType::kBool;
  request.query.shape = {std::int64_t{1} << 30};
  std::size_t other_bytes = 0;
  const auto smaller = EncodeRequest(request);
  ASSERT_TRUE(smaller.ok());
  for (const MessagePart& part : *smaller) other_bytes += part.owned.size() + part.borrowed_size_bytes;
  other_bytes -= std::size_t{1} << 30;

  constexpr std::int64_t kLargestMessageBytes = std::numeric_limits<std::int32_t>::max();
  request.query.shape = {kLargestMessageBytes - static_cast<std::int64_t>(other_bytes)};
  EXPECT_TRUE(EncodeRequest(request).ok());
  ++request.query.shape[0];
  EXPECT_EQ(EncodeRequest(request).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace attnd

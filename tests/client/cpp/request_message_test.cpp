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
#include <utility>
#include <vector>

namespace attnd {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr float kQuery[] = {1, 2, 3, 4};
constexpr float kKey[] = {5, 6, 7, 8, 9, 10};
constexpr float kValue[] = {11, 12, 13};
constexpr std::uint8_t kMask[] = {1, 0, 1};
constexpr float kBias[] = {0.5, -1};
constexpr std::int32_t kQueryIds[] = {7, -8};
constexpr std::int32_t kKeyIds[] = {9, 7, 7};
constexpr std::uint8_t kBlocks[] = {0, 1, 1, 1};

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

template <typename Field>
void Add(std::initializer_list<std::int64_t> numbers, Field* field) {
  field->Add(numbers.begin(), numbers.end());
}

TEST(RequestMessage, HoldsEveryMask) {
  AttendRequest request = MinimalRequest();
  request.mask = {.causal = CausalAlignment::kBottomRight,
                  .causal_prefix_lengths = {{2, 1, 0}},
                  .key_lengths = {{3, 0, 200}},
                  .boolean = TensorView{ElementType::kBool, {1, 3}, kMask},
                  .query_lengths = {{1, 2}},
                  .window = SlidingWindow{.left = 0, .right = 5},
                  .segments = SegmentIds{.query = {ElementType::kInt32, {2}, kQueryIds},
                                         .key = {ElementType::kInt32, {3}, kKeyIds}},
                  .blocks = BlockMask{
                      .query_block_rows = 64, .key_block_keys = 128, .tensor = {ElementType::kBool, {2, 2}, kBlocks}}};

  v1::AttendRequest message = MinimalMessage();
  v1::Mask& mask = *message.mutable_problem()->mutable_mask();
  mask.mutable_causal()->set_alignment(v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT);
  Add({2, 1, 0}, mask.mutable_causal()->mutable_prefix_lengths());
  Add({3, 0, 200}, mask.mutable_key_lengths()->mutable_lengths());
  SetTensor(*mask.mutable_boolean()->mutable_tensor(), v1::ELEMENT_TYPE_BOOL, {1, 3});
  Add({1, 2}, mask.mutable_query_lengths()->mutable_lengths());
  mask.mutable_window()->set_left(0);
  mask.mutable_window()->set_right(5);
  SetTensor(*mask.mutable_segments()->mutable_query(), v1::ELEMENT_TYPE_INT32, {2});
  SetTensor(*mask.mutable_segments()->mutable_key(), v1::ELEMENT_TYPE_INT32, {3});
  mask.mutable_blocks()->set_query_block_rows(64);
  mask.mutable_blocks()->set_key_block_keys(128);
  SetTensor(*mask.mutable_blocks()->mutable_tensor(), v1::ELEMENT_TYPE_BOOL, {2, 2});
  message.set_mask_data(kMask, sizeof kMask);
  message.set_query_segment_ids_data(kQueryIds, sizeof kQueryIds);
  message.set_key_segment_ids_data(kKeyIds, sizeof kKeyIds);
  message.set_block_mask_data(kBlocks, sizeof kBlocks);
  EXPECT_EQ(Written(request), message.SerializeAsString());
}

TEST(RequestMessage, HoldsEveryOtherOption) {
  AttendRequest request = MinimalRequest();
  request.layout = Layout::kBshd;
  request.scale = 0.25;
  request.empty_row = EmptyRow::kMeanOfAllValues;
  request.return_weights = true;
  request.return_log_sum_exp = true;
  request.positions = Positions{.alignment = CausalAlignment::kTopLeft, .offsets = {{-5, 6}}};
  request.bias = TensorView{ElementType::kFloat32, {2, 1}, kBias};
  request.alibi_slopes = {{0.5F, 0.25F}};
  request.bias_place = BiasPlace::kBeforeSoftCap;
  request.soft_cap = 30;
  request.sinks = {{1, -2}};

  v1::AttendRequest message = MinimalMessage();
  v1::AttentionProblem& problem = *message.mutable_problem();
  problem.set_layout(v1::LAYOUT_BSHD);
  problem.set_scale(0.25);
  problem.set_empty_row(v1::EMPTY_ROW_MEAN_OF_ALL_VALUES);
  problem.set_return_weights(true);
  problem.set_return_log_sum_exp(true);
  problem.mutable_positions()->set_alignment(v1::CausalMask::ALIGNMENT_TOP_LEFT);
  Add({-5, 6}, problem.mutable_positions()->mutable_offsets());
  SetTensor(*problem.mutable_bias()->mutable_tensor(), v1::ELEMENT_TYPE_FLOAT32, {2, 1});
  for (const float slope : {0.5F, 0.25F}) problem.mutable_alibi()->add_slopes(slope);
  problem.set_bias_place(v1::BIAS_PLACE_BEFORE_SOFT_CAP);
  problem.set_soft_cap(30);
  for (const float sink : {1.0F, -2.0F}) problem.add_sinks(sink);
  message.set_bias_data(kBias, sizeof kBias);
  EXPECT_EQ(Written(request), message.SerializeAsString());
}

TEST(RequestMessage, HoldsEverySummary) {
  AttendRequest request = MinimalRequest();
  request.summaries = {.batch_entries = {1, 3},
                       .heads = {0, 2},
                       .query_rows = {4},
                       .head_reduction = HeadReduction::kMean,
                       .matrix = MatrixRows{.stage = MatrixStage::kMasked, .element_type = ElementType::kFloat16},
                       .top_keys = 5,
                       .entropy = true,
                       .largest_weight = true,
                       .first_keys = 6,
                       .mean_distance = true,
                       .received_sum = true,
                       .received_maximum = true,
                       .pooled_map = PooledMap{.rows = 7, .columns = 8, .pooling = Pooling::kMaximum}};

  v1::AttendRequest message = MinimalMessage();
  v1::Summaries& summaries = *message.mutable_problem()->mutable_summaries();
  Add({1, 3}, summaries.mutable_batch_entries());
  Add({0, 2}, summaries.mutable_heads());
  Add({4}, summaries.mutable_query_rows());
  summaries.set_head_reduction(v1::HEAD_REDUCTION_MEAN);
  summaries.mutable_matrix()->set_stage(v1::MATRIX_STAGE_MASKED);
  summaries.mutable_matrix()->set_element_type(v1::ELEMENT_TYPE_FLOAT16);
  summaries.set_top_keys(5);
  summaries.set_entropy(true);
  summaries.set_largest_weight(true);
  summaries.set_first_keys(6);
  summaries.set_mean_distance(true);
  summaries.set_received_sum(true);
  summaries.set_received_maximum(true);
  summaries.mutable_pooled_map()->set_rows(7);
  summaries.mutable_pooled_map()->set_columns(8);
  summaries.mutable_pooled_map()->set_pooling(v1::PooledMap::POOLING_MAXIMUM);
  EXPECT_EQ(Written(request), message.SerializeAsString());
}

TEST(RequestMessage, NamesEveryStageAndReduction) {
  const std::pair<MatrixStage, v1::MatrixStage> stages[] = {{MatrixStage::kScaled, v1::MATRIX_STAGE_SCALED},
                                                            {MatrixStage::kSoftCapped, v1::MATRIX_STAGE_SOFT_CAPPED},
                                                            {MatrixStage::kMasked, v1::MATRIX_STAGE_MASKED},
                                                            {MatrixStage::kWeights, v1::MATRIX_STAGE_WEIGHTS}};
  for (const auto& [stage, sent] : stages) {
    AttendRequest request = MinimalRequest();
    request.summaries.matrix = MatrixRows{.stage = stage};
    v1::AttendRequest message;
    ASSERT_TRUE(message.ParseFromString(Written(request)));
    EXPECT_EQ(message.problem().summaries().matrix().stage(), sent);
    EXPECT_EQ(message.problem().summaries().matrix().element_type(), v1::ELEMENT_TYPE_UNSPECIFIED);
  }
  AttendRequest request = MinimalRequest();
  request.summaries.entropy = true;
  v1::AttendRequest message;
  ASSERT_TRUE(message.ParseFromString(Written(request)));
  EXPECT_EQ(message.problem().summaries().head_reduction(), v1::HEAD_REDUCTION_UNSPECIFIED);
  request.summaries.head_reduction = HeadReduction::kSum;
  ASSERT_TRUE(message.ParseFromString(Written(request)));
  EXPECT_EQ(message.problem().summaries().head_reduction(), v1::HEAD_REDUCTION_SUM);
}

// Its layout is its own, and none must be said.
TEST(RequestMessage, ARaggedBatchHasNoLayout) {
  AttendRequest request = MinimalRequest();
  request.ragged = RaggedBatch{.query_offsets = {0, 2, 2}, .key_offsets = {0, 1, 3}};
  v1::AttendRequest message = MinimalMessage();
  message.mutable_problem()->set_layout(v1::LAYOUT_UNSPECIFIED);
  Add({0, 2, 2}, message.mutable_problem()->mutable_ragged()->mutable_query_offsets());
  Add({0, 1, 3}, message.mutable_problem()->mutable_ragged()->mutable_key_offsets());
  EXPECT_EQ(Written(request), message.SerializeAsString());
  // The server says what it thinks of another one.
  request.layout = Layout::kBshd;
  message.mutable_problem()->set_layout(v1::LAYOUT_BSHD);
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

// On the wire each would be no list, and so another option or none.
TEST(RequestMessage, RefusesListsWithoutNumbers) {
  using Change = void (*)(AttendRequest&);
  const std::pair<Change, const char*> changes[] = {
      {[](auto& request) { request.mask.causal_offsets = std::vector<std::int64_t>{}; }, "mask.causal.offsets"},
      {[](auto& request) { request.mask.causal_prefix_lengths = std::vector<std::int64_t>{}; },
       "mask.causal.prefix_lengths"},
      {[](auto& request) { request.positions = Positions{.offsets = std::vector<std::int64_t>{}}; },
       "positions.offsets"},
      {[](auto& request) { request.sinks = std::vector<float>{}; }, "sinks"}};
  for (const auto& [change, name] : changes) {
    AttendRequest request = MinimalRequest();
    change(request);
    const absl::Status status = EncodeRequest(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

TEST(RequestMessage, AGivenScaleOfZeroIsSent) {
  AttendRequest request = MinimalRequest();
  request.scale = 0;
  v1::AttendRequest message;
  ASSERT_TRUE(message.ParseFromString(Written(request)));
  EXPECT_TRUE(message.problem().has_scale());
}

TEST(RequestMessage, AnOptionInWhichNothingIsSetIsNotNoOption) {
  AttendRequest request = MinimalRequest();
  request.mask.key_lengths = std::vector<std::int64_t>{};
  request.mask.query_lengths = std::vector<std::int64_t>{};
  request.mask.window = SlidingWindow{};
  request.positions = Positions{};
  request.alibi_slopes = std::vector<float>{};
  v1::AttendRequest message;
  ASSERT_TRUE(message.ParseFromString(Written(request)));
  EXPECT_TRUE(message.problem().mask().has_key_lengths());
  EXPECT_TRUE(message.problem().mask().has_query_lengths());
  EXPECT_TRUE(message.problem().mask().has_window());
  EXPECT_FALSE(message.problem().mask().window().has_left());
  EXPECT_TRUE(message.problem().has_positions());
  EXPECT_TRUE(message.problem().has_alibi());
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
  request.bias = TensorView{ElementType::kFloat32, {2, 1}, kBias};
  const auto parts = EncodeRequest(request);
  ASSERT_TRUE(parts.ok());
  std::vector<const void*> borrowed;
  for (const MessagePart& part : *parts) borrowed.push_back(part.borrowed);
  EXPECT_THAT(borrowed, testing::ElementsAre(nullptr, kQuery, kKey, kValue, kMask, kBias));
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

// What the client reads, held against protobuf's own parser: whole answers in every form, and damaged ones.
#include "client/cpp/response_message.h"

#include <absl/status/status.h>
#include <attnd/v1/attention.pb.h>
#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.h"

namespace attnd {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// As gRPC delivers a message: in pieces of any size.
grpc::ByteBuffer InPieces(const std::string& bytes, std::size_t piece_bytes) {
  std::vector<grpc::Slice> slices;
  for (std::size_t begin = 0; begin < bytes.size(); begin += piece_bytes) {
    slices.emplace_back(bytes.substr(begin, piece_bytes));
  }
  return {slices.data(), slices.size()};
}

absl::StatusOr<AttendResult> Read(const std::string& bytes, std::size_t piece_bytes = 4096) {
  grpc::ByteBuffer buffer = InPieces(bytes, piece_bytes);
  return DecodeResponse(&buffer);
}

absl::Status ReadStatus(const v1::AttendResponse& response) { return Read(response.SerializeAsString()).status(); }

void SetTensor(v1::TensorDescription& tensor, v1::ElementType type, std::initializer_list<std::int64_t> shape) {
  tensor.set_element_type(type);
  tensor.clear_shape();
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
}

v1::AttendResponse MinimalAnswer() {
  v1::AttendResponse response;
  SetTensor(*response.mutable_result()->mutable_output(), v1::ELEMENT_TYPE_BFLOAT16, {2, 3});
  response.set_output_data("abcdefghijkl");
  return response;
}

v1::AttendResponse WholeAnswer() {
  v1::AttendResponse response = MinimalAnswer();
  v1::AttentionResult& result = *response.mutable_result();
  SetTensor(*result.mutable_weights(), v1::ELEMENT_TYPE_FLOAT32, {2, 2});
  SetTensor(*result.mutable_log_sum_exp(), v1::ELEMENT_TYPE_FLOAT32, {2});
  response.set_weights_data("0123456789abcdef");
  response.set_log_sum_exp_data("ABCDEFGH");
  v1::Report& report = *result.mutable_report();
  report.set_kernel("brgemm-bfloat16");
  report.set_query_tile_rows(64);
  report.set_key_tile_keys(256);
  report.set_computed_tiles(5);
  report.set_skipped_tiles(6);
  report.set_floating_point_operations(1e12);
  report.set_empty_rows(7);
  report.set_decode_seconds(0.125);
  report.set_queue_seconds(0.25);
  report.set_compute_seconds(0.5);
  report.set_encode_seconds(0.75);
  report.set_fingerprint("attnd 1.2.3");
  report.set_summary_tiles(8);
  return response;
}

std::string BytesOf(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data()), tensor.size_bytes()};
}

void ExpectWholeAnswer(const absl::StatusOr<AttendResult>& result) {
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.element_type(), ElementType::kBfloat16);
  EXPECT_EQ(result->output.shape(), (Shape{2, 3}));
  EXPECT_EQ(BytesOf(result->output), "abcdefghijkl");
  ASSERT_TRUE(result->weights);
  EXPECT_EQ(result->weights->element_type(), ElementType::kFloat32);
  EXPECT_EQ(result->weights->shape(), (Shape{2, 2}));
  EXPECT_EQ(BytesOf(*result->weights), "0123456789abcdef");
  ASSERT_TRUE(result->log_sum_exp);
  EXPECT_EQ(result->log_sum_exp->shape(), (Shape{2}));
  EXPECT_EQ(BytesOf(*result->log_sum_exp), "ABCDEFGH");
}

TEST(ResponseMessage, IsReadWhole) {
  const auto result = Read(WholeAnswer().SerializeAsString());
  ExpectWholeAnswer(result);
  EXPECT_EQ(result->report.kernel, "brgemm-bfloat16");
  EXPECT_EQ(result->report.query_tile_rows, 64);
  EXPECT_EQ(result->report.key_tile_keys, 256);
  EXPECT_EQ(result->report.computed_tiles, 5);
  EXPECT_EQ(result->report.skipped_tiles, 6);
  EXPECT_EQ(result->report.floating_point_operations, 1e12);
  EXPECT_EQ(result->report.empty_rows, 7);
  EXPECT_EQ(result->report.decode_seconds, 0.125);
  EXPECT_EQ(result->report.queue_seconds, 0.25);
  EXPECT_EQ(result->report.compute_seconds, 0.5);
  EXPECT_EQ(result->report.encode_seconds, 0.75);
  EXPECT_EQ(result->report.fingerprint, "attnd 1.2.3");
  EXPECT_EQ(result->report.summary_tiles, 8);
}

// Each in its place: tensor n of the table has n + 1 elements, all of value n.
TEST(ResponseMessage, HoldsEveryTensor) {
  v1::AttendResponse response;
  v1::AttentionResult& result = *response.mutable_result();
  auto add = [n = 0](v1::TensorDescription& tensor, v1::ElementType type, std::string& data) mutable {
    SetTensor(tensor, type, {n + 1});
    for (int i = 0; i <= n; ++i) data.append({static_cast<char>(n), 0, 0, 0});
    ++n;
  };
  add(*result.mutable_output(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_output_data());
  add(*result.mutable_weights(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_weights_data());
  add(*result.mutable_log_sum_exp(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_log_sum_exp_data());
  add(*result.mutable_matrix(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_matrix_data());
  add(*result.mutable_top_keys(), v1::ELEMENT_TYPE_INT32, *response.mutable_top_keys_data());
  add(*result.mutable_top_weights(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_top_weights_data());
  add(*result.mutable_entropy(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_entropy_data());
  add(*result.mutable_largest_weight(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_largest_weight_data());
  add(*result.mutable_first_keys_weight(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_first_keys_weight_data());
  add(*result.mutable_mean_distance(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_mean_distance_data());
  add(*result.mutable_received_sum(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_received_sum_data());
  add(*result.mutable_received_maximum(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_received_maximum_data());
  add(*result.mutable_pooled_map(), v1::ELEMENT_TYPE_FLOAT32, *response.mutable_pooled_map_data());

  const auto read = Read(response.SerializeAsString());
  ASSERT_TRUE(read.ok()) << read.status();
  const std::vector<NamedTensor> tensors = TensorsOf(*read);
  const char* const names[] = {
      "output",    "weights",        "log_sum_exp",       "matrix",        "top_keys",     "top_weights",
      "entropy",   "largest_weight", "first_keys_weight", "mean_distance", "received_sum", "received_maximum",
      "pooled_map"};
  EXPECT_THAT(ResultTensorNames(), testing::ElementsAreArray(names));
  ASSERT_EQ(tensors.size(), std::size(names));
  for (std::size_t n = 0; n < std::size(names); ++n) {
    EXPECT_EQ(tensors[n].name, names[n]);
    EXPECT_EQ(tensors[n].tensor->shape(), (Shape{static_cast<std::int64_t>(n) + 1}));
    EXPECT_EQ(tensors[n].tensor->elements<std::int32_t>()[n], static_cast<std::int32_t>(n));
  }
  EXPECT_EQ(read->top_keys->element_type(), ElementType::kInt32);
  EXPECT_EQ(read->pooled_map->shape(), (Shape{13}));
}

TEST(ResponseMessage, LeavesOutWhatWasNotAskedFor) {
  const auto result = Read(MinimalAnswer().SerializeAsString());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->weights);
  EXPECT_FALSE(result->log_sum_exp);
}

TEST(ResponseMessage, MayComeInPiecesOfAnySize) {
  const std::string bytes = WholeAnswer().SerializeAsString();
  for (std::size_t piece_bytes = 1; piece_bytes <= bytes.size(); ++piece_bytes) {
    SCOPED_TRACE(piece_bytes);
    ExpectWholeAnswer(Read(bytes, piece_bytes));
  }
}

TEST(ResponseMessage, MayHaveItsFieldsInAnyOrder) {
  const v1::AttendResponse whole = WholeAnswer();
  std::vector<std::string> fields(4);
  v1::AttendResponse field;
  *field.mutable_result() = whole.result();
  fields[0] = field.SerializeAsString();
  field.Clear();
  field.set_output_data(whole.output_data());
  fields[1] = field.SerializeAsString();
  field.Clear();
  field.set_weights_data(whole.weights_data());
  fields[2] = field.SerializeAsString();
  field.Clear();
  field.set_log_sum_exp_data(whole.log_sum_exp_data());
  fields[3] = field.SerializeAsString();
  std::sort(fields.begin(), fields.end());
  do {
    ExpectWholeAnswer(Read(fields[0] + fields[1] + fields[2] + fields[3]));
  } while (std::next_permutation(fields.begin(), fields.end()));
}

TEST(ResponseMessage, AFieldThatComesTwiceIsMerged) {
  v1::AttendResponse first;
  first.set_output_data("of another size");
  first.mutable_result()->mutable_report()->set_empty_rows(3);
  first.mutable_result()->mutable_report()->set_kernel("another");
  const auto result = Read(first.SerializeAsString() + WholeAnswer().SerializeAsString());
  ExpectWholeAnswer(result);
  EXPECT_EQ(result->report.kernel, "brgemm-bfloat16");
}

TEST(ResponseMessage, SkipsFieldsOfANewerServer) {
  v1::AttendResponse response = WholeAnswer();
  auto& unknown = *response.GetReflection()->MutableUnknownFields(&response);
  unknown.AddVarint(2, 7);
  unknown.AddFixed32(3, 7);
  unknown.AddFixed64(4, 7);
  unknown.AddLengthDelimited(2000, "something new");
  unknown.AddGroup(2001)->AddVarint(1, 7);
  v1::AttentionResult& result = *response.mutable_result();
  result.GetReflection()->MutableUnknownFields(&result)->AddLengthDelimited(99, "something new");
  ExpectWholeAnswer(Read(response.SerializeAsString()));
}

TEST(ResponseMessage, TensorsAreAligned) {
  const auto result = Read(WholeAnswer().SerializeAsString(), 7);
  ASSERT_TRUE(result.ok());
  for (const Tensor* tensor : {&result->output, &*result->weights, &*result->log_sum_exp}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor->data()) % 64, 0);
  }
}

TEST(ResponseMessage, NothingIsNoAnswer) {
  EXPECT_EQ(Read("").status().code(), absl::StatusCode::kInternal);
  grpc::ByteBuffer unset;
  EXPECT_EQ(DecodeResponse(&unset).status().code(), absl::StatusCode::kInternal);
}

TEST(ResponseMessage, ACutAnswerIsNone) {
  const std::string bytes = WholeAnswer().SerializeAsString();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Read(bytes.substr(0, size)).status().code(), absl::StatusCode::kInternal) << size;
  }
}

TEST(ResponseMessage, LengthsThatDoNotFitAreRefused) {
  const std::string whole = WholeAnswer().SerializeAsString();
  const std::string output_tag("\xc2\x3e", 2);  // field 1000, length-delimited
  for (const char* length : {"\x7f", "\xff\xff\xff\xff\x07", "\xff\xff\xff\xff\x0f",
                             "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x80\x80\x80\x80\x10"}) {
    EXPECT_EQ(Read(whole + output_tag + length).status().code(), absl::StatusCode::kInternal);
    EXPECT_EQ(Read(whole + "\x0a" + length).status().code(), absl::StatusCode::kInternal);
  }
}

TEST(ResponseMessage, SaysWhichTensorContradictsItself) {
  v1::AttendResponse response = WholeAnswer();
  response.set_weights_data("0123");
  const absl::Status status = ReadStatus(response);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("weights"), HasSubstr("4 bytes"), HasSubstr("16")));
}

TEST(ResponseMessage, ContradictionsAreRefused) {
  const auto refuse = [](auto change) {
    v1::AttendResponse response = WholeAnswer();
    change(response);
    EXPECT_EQ(ReadStatus(response).code(), absl::StatusCode::kInternal) << response.ShortDebugString();
  };
  refuse([](auto& response) { response.clear_result(); });
  refuse([](auto& response) { response.clear_output_data(); });
  refuse([](auto& response) { response.clear_log_sum_exp_data(); });
  refuse([](auto& response) { response.mutable_result()->clear_output(); });
  refuse([](auto& response) { response.mutable_result()->mutable_output()->clear_shape(); });
  refuse([](auto& response) { response.mutable_result()->mutable_output()->set_shape(0, -2); });
  refuse([](auto& response) {
    response.mutable_result()->mutable_output()->set_shape(0, std::numeric_limits<std::int64_t>::max());
  });
  refuse(
      [](auto& response) { response.mutable_result()->mutable_output()->set_element_type(v1::ELEMENT_TYPE_FLOAT32); });
}

TEST(ResponseMessage, SaysWhichElementTypeItDoesNotKnow) {
  for (const int type : {static_cast<int>(v1::ELEMENT_TYPE_UNSPECIFIED), static_cast<int>(v1::ELEMENT_TYPE_BOOL), 9}) {
    v1::AttendResponse response = WholeAnswer();
    response.mutable_result()->mutable_output()->set_element_type(static_cast<v1::ElementType>(type));
    const absl::Status status = ReadStatus(response);
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("output"), HasSubstr(std::to_string(type))));
  }
}

// Whatever is accepted, protobuf's parser accepts too, and finds the same bytes in it.
TEST(ResponseMessage, DamagedAnswersAreReadAsProtobufReadsThem) {
  // Without text, of which protobuf would log what is no UTF-8.
  v1::AttendResponse answer = WholeAnswer();
  answer.mutable_result()->mutable_report()->clear_kernel();
  answer.mutable_result()->mutable_report()->clear_fingerprint();
  const std::string whole = answer.SerializeAsString();
  test::Random random = test::SeededRandom();
  const auto below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); };
  int accepted = 0;
  constexpr int kMessages = 20'000;
  for (int i = 0; i < kMessages; ++i) {
    std::string bytes = whole;
    for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
      const std::size_t position = below(bytes.size());
      switch (below(3)) {
        case 0:
          bytes[position] = static_cast<char>(below(256));
          break;
        case 1:
          bytes.insert(position, 1, static_cast<char>(below(256)));
          break;
        default:
          bytes.erase(position, 1);
      }
    }
    const auto result = Read(bytes, 1 + below(bytes.size()));
    if (!result.ok()) {
      EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
      continue;
    }
    ++accepted;
    v1::AttendResponse response;
    ASSERT_TRUE(response.ParseFromString(bytes)) << testing::PrintToString(bytes);
    EXPECT_EQ(BytesOf(result->output), response.output_data());
    EXPECT_EQ(result->weights.has_value(), response.result().has_weights());
    if (result->weights) {
      EXPECT_EQ(BytesOf(*result->weights), response.weights_data());
    }
    EXPECT_EQ(result->report.empty_rows, response.result().report().empty_rows());
  }
  // Most damage hits elements or the report, which may hold anything.
  EXPECT_GT(accepted, kMessages / 20);
  EXPECT_LT(accepted, kMessages);
}

}  // namespace
}  // namespace attnd

// MergePartials over gRPC: gives what the core gives, bit for bit, and refuses by name with both numbers.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/merge.h"
#include "server/attnd_v1/element_type.h"
#include "tests/server/running_server.h"
#include "tests/support/attend_request.h"
#include "tests/support/engine_call.h"
#include "tests/support/error_bound.h"
#include "tests/support/seed.h"
#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

constexpr char kMergePartialsMethod[] = "/attnd.v1.AttentionService/MergePartials";
constexpr char kLabels[] =
    "grpc_method=\"MergePartials\",grpc_service=\"attnd.v1.AttentionService\",grpc_type=\"unary\"}";

std::string RandomElements(core::ElementType type, std::int64_t count, Random& random) {
  std::normal_distribution<double> number;
  std::vector<double> numbers;
  for (std::int64_t i = 0; i < count; ++i) numbers.push_back(number(random));
  const std::vector<std::uint8_t> bytes = Encode(type, numbers);
  return {bytes.begin(), bytes.end()};
}

// 3 parts of [2, 5, 7] each.
v1::MergePartialsRequest Good(core::ElementType type = core::ElementType::kFloat32) {
  Random random = SeededRandom();
  v1::MergePartialsRequest request;
  request.mutable_output()->set_element_type(server::attnd_v1::ToProto(type));
  for (const std::int64_t size : {3, 2, 5, 7}) request.mutable_output()->add_shape(size);
  request.mutable_log_sum_exp()->set_element_type(v1::ELEMENT_TYPE_FLOAT32);
  for (const std::int64_t size : {3, 2, 5}) request.mutable_log_sum_exp()->add_shape(size);
  request.set_output_data(RandomElements(type, 3 * 2 * 5 * 7, random));
  request.set_log_sum_exp_data(RandomElements(core::ElementType::kFloat32, 3 * 2 * 5, random));
  return request;
}

grpc::Status Call(RunningServer& server, const v1::MergePartialsRequest& request, v1::MergePartialsResponse& response) {
  grpc::ClientContext context;
  return server.stub().MergePartials(&context, request, &response);
}

grpc::Status Call(RunningServer& server, const v1::MergePartialsRequest& request) {
  v1::MergePartialsResponse response;
  return Call(server, request, response);
}

// Output and log-sum-exp, one after the other.
std::string MergedByTheCore(core::ElementType type, const v1::MergePartialsRequest& request) {
  const absl::StatusOr<core::Merge> merge =
      core::CheckMerge({.output = {type, {3, 2, 5, 7}},
                        .log_sum_exp = {core::ElementType::kFloat32, {3, 2, 5}},
                        .output_size_bytes = static_cast<std::int64_t>(request.output_data().size()),
                        .log_sum_exp_size_bytes = static_cast<std::int64_t>(request.log_sum_exp_data().size())},
                       {});
  EXPECT_TRUE(merge.ok()) << merge.status();
  std::string output(static_cast<std::size_t>(merge->output.size_bytes), '\0');
  std::string log_sum_exp(static_cast<std::size_t>(merge->log_sum_exp.size_bytes), '\0');
  core::MergeRows(*merge,
                  {.output = request.output_data().data(),
                   .log_sum_exp = reinterpret_cast<const float*>(request.log_sum_exp_data().data()),
                   .merged_output = output.data(),
                   .merged_log_sum_exp = reinterpret_cast<float*>(log_sum_exp.data())},
                  0, merge->rows);
  return output + log_sum_exp;
}

TEST(MergePartials, GivesWhatTheCoreGives) {
  RunningServer server;
  for (const auto type : {core::ElementType::kFloat32, core::ElementType::kBfloat16, core::ElementType::kFloat16}) {
    const v1::MergePartialsRequest request = Good(type);
    v1::MergePartialsResponse response;
    const grpc::Status status = Call(server, request, response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(response.output_data() + response.log_sum_exp_data() == MergedByTheCore(type, request));
    EXPECT_EQ(response.output().element_type(), request.output().element_type());
    EXPECT_EQ(response.log_sum_exp().element_type(), v1::ELEMENT_TYPE_FLOAT32);
    EXPECT_EQ(std::vector<std::int64_t>(response.output().shape().begin(), response.output().shape().end()),
              (std::vector<std::int64_t>{2, 5, 7}));
    EXPECT_EQ(std::vector<std::int64_t>(response.log_sum_exp().shape().begin(), response.log_sum_exp().shape().end()),
              (std::vector<std::int64_t>{2, 5}));
  }
}

TEST(MergePartials, WhatAttendAnswersForTwoHalvesOfTheKeysIsTheWhole) {
  Random random = SeededRandom();
  AttentionCase whole =
      MakeCase({.sizes = {.query_rows = 30, .keys = 80, .head_size = 16, .value_head_size = 16}, .rank = 2}, random);
  RunningServer server;
  v1::MergePartialsRequest merge;
  for (std::int64_t first = 0; first < 80; first += 40) {
    AttentionCase half = whole;
    half.description.key.shape[0] = half.description.value.shape[0] = 40;
    const auto cut = [first](std::vector<double>& numbers) {
      numbers = {numbers.begin() + first * 16, numbers.begin() + (first + 40) * 16};
    };
    cut(half.key);
    cut(half.value);
    const v1::AttendResponse response = Attend(server.stub(), ToRequest(half));
    *merge.mutable_output_data() += response.output_data();
    *merge.mutable_log_sum_exp_data() += response.log_sum_exp_data();
    *merge.mutable_output() = response.result().output();
    *merge.mutable_log_sum_exp() = response.result().log_sum_exp();
  }
  for (v1::TensorDescription* tensor : {merge.mutable_output(), merge.mutable_log_sum_exp()}) {
    const std::vector<std::int64_t> shape(tensor->shape().begin(), tensor->shape().end());
    tensor->clear_shape();
    tensor->add_shape(2);
    tensor->mutable_shape()->Add(shape.begin(), shape.end());
  }
  v1::MergePartialsResponse merged;
  const grpc::Status status = Call(server, merge, merged);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const Answer expected = ToAnswer(Attend(server.stub(), ToRequest(whole)));
  const auto numbers = [](const std::string& bytes) {
    return Decode(core::ElementType::kFloat32, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size() / 4);
  };
  EXPECT_LT(LargestDifference(numbers(merged.output_data()), expected.output), 1e-5);
  EXPECT_LT(LargestDifference(numbers(merged.log_sum_exp_data()), expected.log_sum_exp), 1e-5);
}

TEST(MergePartials, RefusesByNameWithBothNumbers) {
  struct Refusal {
    std::string fields;
    std::string text;
  };
  const std::string output = "output { element_type: ELEMENT_TYPE_FLOAT32 shape: [2, 3] } output_data: '";
  const std::string log_sum_exp =
      "log_sum_exp { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 } log_sum_exp_data: '12345678' ";
  const std::string good_output = output + "123456781234567812345678' ";
  const std::vector<Refusal> refusals = {
      {"", "output: not given, a TensorDescription expected"},
      {"output {}", "output.element_type: not given, an ElementType expected"},
      {good_output, "log_sum_exp: not given, a TensorDescription expected"},
      {good_output + "log_sum_exp { shape: 2 }", "log_sum_exp.element_type: not given, an ElementType expected"},
      {good_output + "log_sum_exp { element_type: ELEMENT_TYPE_FLOAT16 shape: 2 }",
       "log_sum_exp.element_type: float16 found, float32 expected"},
      {good_output + "log_sum_exp { element_type: ELEMENT_TYPE_FLOAT32 shape: [2, 3] }",
       "log_sum_exp.shape: [2, 3] found, [2], that of output without its last dimension, expected"},
      {good_output + "log_sum_exp { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 }",
       "log_sum_exp_data: 0 bytes found, 8 expected for log_sum_exp of float32 [2]"},
      {output + "1234' " + log_sum_exp, "output_data: 4 bytes found, 24 expected for output of float32 [2, 3]"},
      {"output { element_type: ELEMENT_TYPE_BOOL shape: [2, 3] } " + log_sum_exp,
       "output.element_type: bool found, float32, bfloat16 or float16 expected"},
      {"output { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 } " + log_sum_exp,
       "output.shape: rank 1 found, at least 2 expected"},
      {"output { element_type: ELEMENT_TYPE_FLOAT32 shape: [2, -3] } " + log_sum_exp,
       "output.shape: dimension 1 is -3, expected at least 1; the shape is [2, -3]"},
      {"output { element_type: 5 shape: [2, 3] } " + log_sum_exp,
       "output.element_type: value 5 found, which this server does not know; a value of attnd.v1.ElementType expected"},
  };
  RunningServer server;
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.fields);
    v1::MergePartialsRequest request;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(refusal.fields, &request));
    const grpc::Status status = Call(server, request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(), refusal.text);
  }
  EXPECT_EQ(server.ScrapeAtRest().at("attnd_in_flight_bytes"), 0);
}

TEST(MergePartials, RefusesWhatItDoesNotKnowAndWhatIsNoRequest) {
  RunningServer server;
  v1::MergePartialsRequest request = Good();
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(99, 1);
  EXPECT_EQ(Call(server, request).error_message(),
            "request: field 99 of attnd.v1.MergePartialsRequest found, which this server does not know");
  request = Good();
  request.mutable_output()->GetReflection()->MutableUnknownFields(request.mutable_output())->AddVarint(99, 1);
  EXPECT_EQ(Call(server, request).error_message(),
            "output: field 99 of attnd.v1.TensorDescription found, which this server does not know");
  const std::string good = Good().SerializeAsString();
  const RawAnswer cut = CallRaw(server.channel(), kMergePartialsMethod, good.substr(0, good.size() - 1));
  EXPECT_EQ(cut.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(cut.status.error_message().starts_with("request: not a valid MergePartialsRequest: a length of field"))
      << cut.status.error_message();
}

TEST(MergePartials, TheLastOfEachPayloadCountsInAnyOrder) {
  RunningServer server;
  const v1::MergePartialsRequest good = Good();
  v1::MergePartialsRequest first;
  first.set_output_data("thrown away");
  v1::MergePartialsRequest data = good;
  data.clear_output();
  data.clear_log_sum_exp();
  v1::MergePartialsRequest rest = good;
  rest.clear_output_data();
  rest.clear_log_sum_exp_data();
  const RawAnswer answer = CallRaw(server.channel(), kMergePartialsMethod,
                                   first.SerializeAsString() + data.SerializeAsString() + rest.SerializeAsString());
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  v1::MergePartialsResponse response;
  ASSERT_TRUE(response.ParseFromString(answer.message));
  EXPECT_TRUE(response.output_data() + response.log_sum_exp_data() ==
              MergedByTheCore(core::ElementType::kFloat32, good));
}

TEST(MergePartials, IsBoundByTheLimits) {
  const v1::MergePartialsRequest request = Good();
  server::Config config = LoopbackConfig();
  config.max_message_bytes = static_cast<std::int64_t>(request.ByteSizeLong());
  {
    RunningServer server(config);
    EXPECT_TRUE(Call(server, request).ok());
  }
  --config.max_message_bytes;
  {
    RunningServer server(config);
    EXPECT_EQ(Call(server, request).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(server.ScrapeAtRest().at("attnd_received_bytes_total"), 0);
  }
  config = LoopbackConfig();
  config.max_message_bytes = config.max_in_flight_bytes = 2 << 20;
  RunningServer server(config);
  v1::MergePartialsRequest large = Good();
  large.mutable_output()->set_shape(3, 7 << 12);
  large.set_output_data(std::string(std::size_t{3 * 2 * 5 * 7 * 4} << 12, '\0'));
  const grpc::Status status = Call(server, large);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Call(server, Good()).ok());
}

TEST(MergePartials, ACompressedRequestIsRefused) {
  RunningServer server;
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::MergePartialsResponse response;
  EXPECT_EQ(server.stub().MergePartials(&context, Good(), &response).error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(server.ScrapeAtRest().at("attnd_received_bytes_total"), 0);
}

TEST(MergePartials, IsCountedAsEveryMethodWithTensors) {
  RunningServer server;
  const v1::MergePartialsRequest request = Good();
  const RawAnswer answer = CallRaw(server.channel(), kMergePartialsMethod, request.SerializeAsString());
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  const Samples samples = server.ScrapeAtRest();
  EXPECT_EQ(samples.at("attnd_received_bytes_total"), static_cast<double>(request.ByteSizeLong()));
  EXPECT_EQ(samples.at("attnd_sent_bytes_total"), static_cast<double>(answer.message.size()));
  // All but the tags and lengths of the tensors' fields (840 and 120 bytes).
  EXPECT_EQ(samples.at("attnd_copied_bytes_total"), static_cast<double>(request.ByteSizeLong()) - (2 + 2) - (2 + 1));
  for (const auto& [phase, count] : {std::pair("decode", 1), {"queue", 0}, {"compute", 1}, {"encode", 1}}) {
    EXPECT_EQ(samples.at(std::string("attnd_phase_duration_seconds_count{phase=\"") + phase + "\"}"), count) << phase;
  }
  EXPECT_EQ(samples.at(std::string("grpc_server_handled_total{grpc_code=\"OK\",") + kLabels), 1);
}

}  // namespace
}  // namespace attnd::test

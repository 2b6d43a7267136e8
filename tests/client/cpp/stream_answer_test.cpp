// An answer in parts: what is taken, and what contradicts itself.
#include "client/cpp/stream_answer.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace attnd {
namespace {

using testing::HasSubstr;

// A 2×2 float32 output and its log-sum-exp.
AnswerShapes Expected() {
  AnswerShapes shapes;
  shapes[Output::kOutput] = TypedShape{ElementType::kFloat32, {2, 2}};
  shapes[Output::kLogSumExp] = TypedShape{ElementType::kFloat32, {2}};
  return shapes;
}

constexpr char kResult[] = R"(result {
  output { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 shape: 2 }
  log_sum_exp { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 }
  report { kernel: "brgemm-float32" }
})";
constexpr char kResponse[] = R"(response {
  result {
    output { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 shape: 2 }
    log_sum_exp { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 }
  }
  output_data: "0123456789abcdef"
  log_sum_exp_data: "ABCDEFGH"
})";
constexpr char kOutputBegin[] = R"(part { tensor: TENSOR_NAME_OUTPUT data: "01234567" })";
constexpr char kOutputEnd[] = R"(part { tensor: TENSOR_NAME_OUTPUT offset_bytes: 8 data: "89abcdef" })";
constexpr char kLogSumExp[] = R"(part { tensor: TENSOR_NAME_LOG_SUM_EXP data: "ABCDEFGH" })";

absl::Status Add(StreamAnswer& answer, const std::string& text) {
  v1::StreamAttendResponse message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  const grpc::Slice slice(message.SerializeAsString());
  grpc::ByteBuffer buffer(&slice, 1);
  const auto envelope = DecodeEnvelope(&buffer);
  if (!envelope.ok()) return envelope.status();
  return answer.Add(*envelope, &buffer);
}

// All messages, and the end.
absl::StatusOr<AttendResult> Read(const std::vector<std::string>& messages,
                                  std::optional<AnswerShapes> expected = Expected()) {
  StreamAnswer answer(std::move(expected));
  for (const std::string& message : messages) {
    const absl::Status status = Add(answer, message);
    if (!status.ok()) return status;
  }
  return answer.Finish();
}

std::string_view BytesOf(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data()), tensor.size_bytes()};
}

void ExpectContradiction(const std::vector<std::string>& messages, const std::string& text) {
  const absl::Status status = Read(messages).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(text));
}

TEST(StreamAnswer, IsPutTogether) {
  for (const auto& messages : std::vector<std::vector<std::string>>{{kResult, kOutputBegin, kLogSumExp, kOutputEnd},
                                                                    {kResult, kLogSumExp, kOutputBegin, kOutputEnd},
                                                                    {kResponse}}) {
    const auto result = Read(messages);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(BytesOf(result->output), "0123456789abcdef");
    EXPECT_EQ(result->output.shape(), (Shape{2, 2}));
    EXPECT_EQ(BytesOf(*result->log_sum_exp), "ABCDEFGH");
    EXPECT_FALSE(result->weights.has_value());
  }
}

TEST(StreamAnswer, HasTheReport) {
  const auto result = Read({kResult, kOutputBegin, kLogSumExp, kOutputEnd});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->report.kernel, "brgemm-float32");
}

TEST(StreamAnswer, WithoutAResultIsNone) {
  ExpectContradiction({}, "without a result");
  ExpectContradiction({kOutputBegin}, "tensor that it does not have");
}

TEST(StreamAnswer, WithMissingBytesIsNone) {
  ExpectContradiction({kResult}, "after 0 bytes of a tensor of 16");
  ExpectContradiction({kResult, kOutputBegin, kLogSumExp}, "after 8 bytes of a tensor of 16");
  ExpectContradiction({kResult, kOutputBegin, kOutputEnd}, "after 0 bytes of a tensor of 8");
}

TEST(StreamAnswer, TakesPartsOnlyInOrder) {
  ExpectContradiction({kResult, kOutputEnd}, "begins at byte 8, expected 0");
  ExpectContradiction({kResult, kOutputBegin, kOutputBegin}, "begins at byte 0, expected 8");
  ExpectContradiction({kResult, R"(part { tensor: TENSOR_NAME_OUTPUT offset_bytes: -8 data: "x" })"},
                      "begins at byte -8");
}

TEST(StreamAnswer, TakesNoMoreThanFits) {
  ExpectContradiction({kResult, R"(part { tensor: TENSOR_NAME_LOG_SUM_EXP data: "ABCDEFGHI" })"}, "beyond");
  ExpectContradiction({kResult, kLogSumExp, R"(part { tensor: TENSOR_NAME_LOG_SUM_EXP offset_bytes: 8 data: "I" })"},
                      "beyond");
}

TEST(StreamAnswer, TakesNoPartOfAnotherTensor) {
  ExpectContradiction({kResult, R"(part { tensor: TENSOR_NAME_WEIGHTS data: "x" })"}, "does not have");
  ExpectContradiction({kResult, R"(part { tensor: TENSOR_NAME_QUERY data: "x" })"}, "does not have");
  ExpectContradiction({kResult, R"(part { data: "x" })"}, "does not have");
}

TEST(StreamAnswer, TakesOneResult) {
  ExpectContradiction({kResult, kResult}, "after a result");
  ExpectContradiction({kResponse, kResponse}, "after a result");
  ExpectContradiction({kResult, kResponse}, "after a result");
  ExpectContradiction({kResponse, kOutputBegin}, "does not have");
}

// Before a byte is taken for it.
TEST(StreamAnswer, MustBeWhatWasAskedFor) {
  const std::string lse = "log_sum_exp { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 }";
  const std::string output = "output { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 shape: 2 }";
  const auto result = [](const std::string& fields) { return "result { " + fields + " }"; };
  ExpectContradiction({result("output { element_type: ELEMENT_TYPE_FLOAT32 shape: 4611686018427387904 } " + lse)},
                      "output is float32 [4611686018427387904], expected float32 [2, 2]");
  ExpectContradiction({result("output { element_type: ELEMENT_TYPE_FLOAT16 shape: 2 shape: 2 } " + lse)},
                      "output is float16 [2, 2], expected float32 [2, 2]");
  ExpectContradiction({result("output { element_type: ELEMENT_TYPE_FLOAT32 shape: -2 shape: -2 } " + lse)},
                      "output is float32 [-2, -2]");
  ExpectContradiction({result("output { element_type: 99 shape: 2 shape: 2 } " + lse)}, "99");
  ExpectContradiction({result(output)}, "log_sum_exp is not there, expected float32 [2]");
  ExpectContradiction({result(output + lse + "weights { element_type: ELEMENT_TYPE_FLOAT32 shape: 2 }")},
                      "weights is float32 [2], expected not there");
  ExpectContradiction({R"(response { result { output { element_type: ELEMENT_TYPE_FLOAT32 shape: 1 } }
                                     output_data: "0123" })"},
                      "output is float32 [1], expected float32 [2, 2]");
}

TEST(StreamAnswer, ToWhatIsNoProblemIsNone) {
  for (const char* message : {kResult, kResponse}) {
    EXPECT_EQ(Read({message}, std::nullopt).status().code(), absl::StatusCode::kInternal);
  }
}

}  // namespace
}  // namespace attnd

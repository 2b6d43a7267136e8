// How the answer to a request of a stream leaves: its messages, and what they hold.
#include "server/attnd_v1/stream_answer.h"

#include <attnd/v1/attention.pb.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace attnd::server::attnd_v1 {
namespace {

using core::Output;

TensorMemory Filled(std::int64_t size_bytes, char first) {
  static KeptMemory kept(0);
  TensorMemory memory = *TensorMemory::Allocate(size_bytes, kept);
  for (std::int64_t i = 0; i < size_bytes; ++i) memory.data()[i] = static_cast<std::byte>(first + i % 61);
  return memory;
}

std::shared_ptr<const Answer> Make(std::int64_t output_bytes, std::int64_t weights_bytes,
                                   std::int64_t log_sum_exp_bytes) {
  auto answer = std::make_shared<Answer>();
  answer->tensors[Output::kOutput] = Filled(output_bytes, 'a');
  answer->tensors[Output::kWeights] = Filled(weights_bytes, 'b');
  answer->tensors[Output::kLogSumExp] = Filled(log_sum_exp_bytes, 'c');
  for (const Output output : core::kOutputs) {
    const std::int64_t size_bytes = answer->tensors[output].size_bytes();
    answer->descriptions[output] = {{core::ElementType::kFloat32, {size_bytes / 4}}, size_bytes};
  }
  answer->report.kernel = "a kernel";
  return answer;
}

std::string Text(const TensorMemory& memory) {
  return {reinterpret_cast<const char*>(memory.data()), static_cast<std::size_t>(memory.size_bytes())};
}

v1::StreamAttendResponse Parse(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(message.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  v1::StreamAttendResponse response;
  EXPECT_TRUE(response.ParseFromString(bytes));
  EXPECT_EQ(response.id(), 7u);
  return response;
}

// All messages until the one with the status.
std::vector<v1::StreamAttendResponse> All(StreamAnswer& answer) {
  std::vector<v1::StreamAttendResponse> messages;
  bool is_last = false;
  while (!is_last) {
    is_last = answer.next_is_last();
    messages.push_back(Parse(answer.Next(0.5)));
    EXPECT_EQ(messages.back().has_status(), is_last);
  }
  return messages;
}

TEST(StreamAnswer, AWholeOneIsOneMessage) {
  const std::shared_ptr<const Answer> computed = Make(12, 8, 4);
  StreamAnswer answer(7);
  answer.SetAnswer(computed, /*in_parts=*/false);
  const std::vector<v1::StreamAttendResponse> messages = All(answer);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].response().output_data(), Text(computed->tensors[Output::kOutput]));
  EXPECT_EQ(messages[0].response().weights_data(), Text(computed->tensors[Output::kWeights]));
  EXPECT_EQ(messages[0].response().log_sum_exp_data(), Text(computed->tensors[Output::kLogSumExp]));
  EXPECT_EQ(messages[0].response().result().report().kernel(), "a kernel");
  EXPECT_EQ(messages[0].response().result().report().encode_seconds(), 0.5);
  EXPECT_EQ(messages[0].status().code(), 0);
}

TEST(StreamAnswer, InPartsEveryTensorComesInOrder) {
  for (const std::int64_t output_bytes : {std::int64_t{4}, kAnswerPartBytes, kAnswerPartBytes + 4}) {
    for (const std::int64_t weights_bytes : {std::int64_t{0}, 2 * kAnswerPartBytes}) {
      for (const std::int64_t log_sum_exp_bytes : {std::int64_t{0}, std::int64_t{4}}) {
        const std::shared_ptr<const Answer> computed = Make(output_bytes, weights_bytes, log_sum_exp_bytes);
        StreamAnswer answer(7);
        answer.SetAnswer(computed, /*in_parts=*/true);
        const std::vector<v1::StreamAttendResponse> messages = All(answer);
        EXPECT_EQ(messages[0].result().output().shape(0), output_bytes / 4);
        std::string elements;
        for (std::size_t i = 1; i < messages.size(); ++i) {
          EXPECT_GT(messages[i].part().data().size(), 0u);
          EXPECT_LE(messages[i].part().data().size(), static_cast<std::size_t>(kAnswerPartBytes));
          elements += messages[i].part().data();
        }
        EXPECT_EQ(elements, Text(computed->tensors[Output::kOutput]) + Text(computed->tensors[Output::kWeights]) +
                                Text(computed->tensors[Output::kLogSumExp]));
        EXPECT_EQ(messages.back().status().code(), 0);
      }
    }
  }
}

TEST(StreamAnswer, AStatusMakesWhatIsLeftVoid) {
  StreamAnswer answer(7);
  answer.SetAnswer(Make(3 * kAnswerPartBytes, 0, 0), /*in_parts=*/true);
  Parse(answer.Next(0));
  Parse(answer.Next(0));
  EXPECT_FALSE(answer.next_is_last());
  answer.SetStatus(absl::CancelledError("enough"));
  EXPECT_TRUE(answer.next_is_last());
  const v1::StreamAttendResponse last = Parse(answer.Next(0));
  EXPECT_EQ(last.content_case(), v1::StreamAttendResponse::CONTENT_NOT_SET);
  EXPECT_EQ(last.status().code(), 1);
  EXPECT_EQ(last.status().message(), "enough");
}

// Whoever sends it shares it.
TEST(StreamAnswer, TheAnswerLivesAsLongAsWhatRefersToIt) {
  std::shared_ptr<const Answer> computed = Make(8, 0, 0);
  const std::weak_ptr<const Answer> watched = computed;
  grpc::ByteBuffer last;
  {
    StreamAnswer answer(7);
    answer.SetAnswer(std::move(computed), /*in_parts=*/true);
    Parse(answer.Next(0));
    last = answer.Next(0);
  }
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(Parse(last).part().data().size(), 8u);
  last.Clear();
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace attnd::server::attnd_v1

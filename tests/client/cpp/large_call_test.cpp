// Calls whose problem is larger than the server's messages.
#include <absl/status/status.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"
#include "tests/client/cpp/fake_stream.h"

namespace attnd {
namespace {

using test::FakeServer;
using test::FakeServerOptions;
using test::FakeStream;
using test::WithinAMinute;

constexpr std::int64_t kEntries = 16;
constexpr std::int64_t kElements = kEntries * 1024 * 8;

// 96 KiB a batch entry, 1.5 MiB in all.
class LargeCallTest : public ::testing::Test {
 protected:
  LargeCallTest() { std::iota(elements_.begin(), elements_.end(), 0.0F); }

  AttendRequest Request() const {
    const TensorView view{ElementType::kFloat32, {kEntries, 1024, 8}, elements_.data()};
    return {.query = view, .key = view, .value = view};
  }

  // Two batch entries fit a message.
  static FakeServerOptions WithSmallMessages(test::StreamHandler handler = test::AnswerStream) {
    FakeServerOptions options = test::WithStream(std::move(handler));
    options.info.mutable_limits()->set_max_message_bytes(200 << 10);
    return options;
  }

  void ExpectTheQuery(const absl::StatusOr<AttendResult>& result) const {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->output.shape(), Request().query.shape);
    const float* found = result->output.elements<float>();
    EXPECT_EQ(std::vector<float>(found, found + kElements), elements_);
  }

  std::vector<float> elements_ = std::vector<float>(kElements);
};

TEST_F(LargeCallTest, GoesInPiecesOnOneStream) {
  std::atomic<int> pieces = 0;
  const FakeServer server(test::AnswerQuery, WithSmallMessages([&](auto&, auto& messages) {
                            FakeStream stream(messages);
                            while (const auto request = stream.Next()) {
                              EXPECT_EQ(request->request.problem().query().shape(0), 2);
                              ++pieces;
                              stream.Answer(*request);
                            }
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  ExpectTheQuery(client.Attend(Request(), WithinAMinute()));
  EXPECT_EQ(pieces, 8);
  EXPECT_EQ(server.call_count(), 1);
}

TEST_F(LargeCallTest, WhatFitsIsOneMessage) {
  FakeServerOptions options;  // without streams
  options.info.mutable_limits()->set_max_message_bytes(2 << 20);
  const FakeServer server(test::AnswerQuery, options);
  Client client(server.address());
  for (int n = 0; n < 2; ++n) ExpectTheQuery(client.Attend(Request(), WithinAMinute()));
  EXPECT_EQ(server.call_count(), 2);
}

TEST_F(LargeCallTest, BelowAMebibyteNoLimitIsAskedFor) {
  const FakeServer server(test::AnswerQuery, WithSmallMessages());
  Client client(server.address());
  AttendRequest request = Request();
  for (TensorView* view : {&request.query, &request.key, &request.value}) view->shape[0] = 10;
  const auto result = client.Attend(request, WithinAMinute());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(server.call_count(), 1);
}

// Answers requests in parts with their query.
grpc::Status AnswerParts(grpc::ServerContext&, test::MessageStream& messages) {
  v1::StreamAttendRequest message;
  v1::AttentionProblem problem;
  std::string query;
  std::int64_t left_bytes = 0;
  while (messages.Read(&message)) {
    if (message.has_start()) {
      problem = message.start().problem();
      left_bytes =
          message.start().query_size_bytes() + message.start().key_size_bytes() + message.start().value_size_bytes();
      continue;
    }
    if (message.part().tensor() == v1::TENSOR_NAME_QUERY) query += message.part().data();
    left_bytes -= static_cast<std::int64_t>(message.part().data().size());
    if (left_bytes > 0) continue;
    v1::StreamAttendResponse answer;
    answer.set_id(message.id());
    v1::AttentionResult& result = *answer.mutable_response()->mutable_result();
    *result.mutable_output() = problem.query();
    answer.mutable_response()->set_output_data(query);
    if (problem.summaries().entropy()) {
      result.mutable_entropy()->set_element_type(v1::ELEMENT_TYPE_FLOAT32);
      for (const std::int64_t size : {kEntries, std::int64_t{1024}}) result.mutable_entropy()->add_shape(size);
      answer.mutable_response()->set_entropy_data(std::string(kEntries * 1024 * sizeof(float), '\0'));
    }
    answer.mutable_status();
    messages.Write(answer);
  }
  return grpc::Status::OK;
}

TEST_F(LargeCallTest, SummariesAreNotCutAndGoInParts) {
  const FakeServer server(test::AnswerQuery, WithSmallMessages(AnswerParts));
  Client client(server.address());
  AttendRequest request = Request();
  request.summaries.entropy = true;
  const auto result = client.Attend(request, WithinAMinute());
  ExpectTheQuery(result);
  EXPECT_EQ(result->entropy->shape(), (Shape{kEntries, 1024}));
  EXPECT_EQ(server.call_count(), 1);
}

TEST_F(LargeCallTest, ARaggedBatchIsNotCutAndGoesInParts) {
  const FakeServer server(test::AnswerQuery, WithSmallMessages(AnswerParts));
  Client client(server.address());
  AttendRequest request = Request();
  request.ragged = RaggedBatch{.query_offsets = {0, kEntries}, .key_offsets = {0, kEntries}};
  ExpectTheQuery(client.Attend(request, WithinAMinute()));
  EXPECT_EQ(server.call_count(), 1);
}

TEST_F(LargeCallTest, SummariesOfASmallProblemAreOneMessage) {
  const FakeServer server;  // without streams
  Client client(server.address());
  AttendRequest request = test::SmallRequest();
  request.summaries.entropy = true;
  EXPECT_TRUE(client.Attend(request, WithinAMinute()).ok());
  EXPECT_EQ(server.call_count(), 1);
}

TEST_F(LargeCallTest, WhatContradictsItselfGoesAsItIs) {
  const FakeServer server([](auto&, auto&, auto&) { return grpc::Status(grpc::INVALID_ARGUMENT, "two batches"); },
                          WithSmallMessages());
  Client client(server.address());
  AttendRequest request = Request();
  request.key.shape = {kEntries - 1, 1024, 8};
  EXPECT_EQ(client.Attend(request, WithinAMinute()).status(), absl::InvalidArgumentError("two batches"));
}

TEST_F(LargeCallTest, EndsWithTheErrorOfTheQuestionForLimits) {
  const FakeServer server(test::AnswerQuery, WithSmallMessages());
  Client client(server.address());
  EXPECT_EQ(client.Attend(Request(), {.deadline = absl::InfinitePast()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(server.call_count(), 0);
}

TEST_F(LargeCallTest, OnePieceThatFailsEndsTheOthers) {
  const FakeServer server(test::AnswerQuery, WithSmallMessages([](auto&, auto& messages) {
                            FakeStream stream(messages);
                            while (const auto request = stream.Next()) {
                              if (request->id == 1) stream.Answer(*request);
                              if (request->id == 2) stream.Refuse(2, grpc::INTERNAL, "no luck");
                            }
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  EXPECT_EQ(client.Attend(Request(), WithinAMinute()).status(), absl::InternalError("no luck"));
}

// Reads, and never answers.
grpc::Status Ignore(grpc::ServerContext&, test::MessageStream& messages, absl::Notification& arrived) {
  FakeStream stream(messages);
  while (const auto request = stream.Next()) {
    if (!arrived.HasBeenNotified()) arrived.Notify();
  }
  return grpc::Status::OK;
}

TEST_F(LargeCallTest, CancelEndsIt) {
  absl::Notification arrived;
  const FakeServer server(test::AnswerQuery, WithSmallMessages([&](auto& context, auto& messages) {
                            return Ignore(context, messages, arrived);
                          }));
  Client client(server.address());
  AttendCall call = client.AttendAsync(Request());
  arrived.WaitForNotification();
  EXPECT_FALSE(call.WaitUntil(absl::InfinitePast()));
  std::thread other([&] { call.Cancel(); });
  EXPECT_EQ(call.Take().status().code(), absl::StatusCode::kCancelled);
  other.join();
}

TEST_F(LargeCallTest, CancelAtOnce) {
  const FakeServer server(test::AnswerQuery, WithSmallMessages());
  Client client(server.address());
  for (int n = 0; n < 20; ++n) {
    AttendCall call = client.AttendAsync(Request(), WithinAMinute());
    call.Cancel();
    const auto status = call.Take().status();
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
  }
}

TEST_F(LargeCallTest, ACallThatNobodyWantsIsCancelled) {
  absl::Notification arrived;
  const FakeServer server(test::AnswerQuery, WithSmallMessages([&](auto& context, auto& messages) {
                            return Ignore(context, messages, arrived);
                          }));
  Client client(server.address());
  std::optional<AttendCall> call = client.AttendAsync(Request());
  arrived.WaitForNotification();
  call.reset();
}

TEST_F(LargeCallTest, OutlivesItsClient) {
  absl::Notification answer;
  const FakeServer server(test::AnswerQuery, WithSmallMessages([&](auto& context, auto& messages) {
                            answer.WaitForNotification();
                            return test::AnswerStream(context, messages);
                          }));
  auto client = std::make_unique<Client>(server.address());
  AttendCall call = client->AttendAsync(Request(), WithinAMinute());
  client.reset();
  answer.Notify();
  EXPECT_TRUE(call.WaitUntil(absl::Now() + absl::Minutes(1)));
  ExpectTheQuery(call.Take());
}

TEST_F(LargeCallTest, ManyAtOnce) {
  const FakeServer server(test::AnswerQuery, WithSmallMessages());
  Client client(server.address());
  std::vector<AttendCall> calls;
  for (int n = 0; n < 4; ++n) calls.push_back(client.AttendAsync(Request(), WithinAMinute()));
  for (AttendCall& call : calls) ExpectTheQuery(call.Take());
}

}  // namespace
}  // namespace attnd

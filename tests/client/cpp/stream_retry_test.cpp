// A stream whose server goes away.
#include <absl/status/status.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"
#include "tests/client/cpp/fake_stream.h"

namespace attnd {
namespace {

using test::FakeServer;
using test::FakeStream;
using test::MessageStream;
using test::SmallRequest;
using test::WithinAMinute;
using test::WithStream;

const grpc::Status kAway(grpc::StatusCode::UNAVAILABLE, "come back later");

std::vector<float> Numbers(std::size_t count) {
  std::vector<float> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = static_cast<float>(i);
  return numbers;
}

// Query and value are the same, so that the query is of an answer's shape.
AttendRequest RequestOf(const std::vector<float>& query) {
  AttendRequest request = SmallRequest();
  request.query = {ElementType::kFloat32, {1, static_cast<std::int64_t>(query.size())}, query.data()};
  request.value = request.query;
  return request;
}

// The first streams do as `handler` says, the others answer.
test::FakeServerOptions FirstStreams(int count, test::StreamHandler handler) {
  return WithStream([left = std::make_shared<std::atomic<int>>(count), handler](auto& context, auto& messages) {
    return (*left)-- > 0 ? handler(context, messages) : test::AnswerStream(context, messages);
  });
}

void ExpectAnswer(AttendCall call, const std::vector<float>& query) {
  const auto result = call.Take();
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->output.size_bytes(), query.size() * sizeof(float));
  EXPECT_EQ(std::memcmp(result->output.data(), query.data(), result->output.size_bytes()), 0);
}

TEST(StreamRetry, WhatWasNotAnsweredIsSentAgain) {
  const FakeServer server(test::AnswerQuery, FirstStreams(1, [](auto&, MessageStream& messages) {
                            FakeStream stream(messages);
                            const auto first = stream.Next();
                            stream.Next();
                            if (first) stream.Answer(*first);
                            return kAway;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  const auto small = Numbers(10);
  const auto large = Numbers(1 << 18);
  AttendCall first = stream.Attend(RequestOf(small), WithinAMinute());
  AttendCall second = stream.Attend(RequestOf(small), WithinAMinute());
  AttendCall third = stream.Attend(RequestOf(large), WithinAMinute());
  ExpectAnswer(std::move(first), small);
  ExpectAnswer(std::move(second), small);
  ExpectAnswer(std::move(third), large);
  EXPECT_EQ(server.call_count(), 2);
}

// Of the answer some parts had come.
TEST(StreamRetry, AnAnswerThatWasCutOffBeginsAgain) {
  const FakeServer server(test::AnswerQuery, FirstStreams(2, [](auto&, MessageStream& messages) {
                            FakeStream stream(messages);
                            const auto request = stream.Next();
                            v1::StreamAttendResponse message;
                            message.set_id(request->id);
                            *message.mutable_result()->mutable_output() = request->request.problem().query();
                            messages.Write(message);
                            message.mutable_part()->set_tensor(v1::TENSOR_NAME_OUTPUT);
                            message.mutable_part()->set_data(std::string(1000, 'x'));
                            messages.Write(message);
                            return kAway;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  const auto query = Numbers(1 << 18);
  ExpectAnswer(stream.Attend(RequestOf(query), WithinAMinute()), query);
  EXPECT_EQ(server.call_count(), 3);
}

TEST(StreamRetry, GivesUpAfterFiveAttempts) {
  const FakeServer server(test::AnswerQuery, FirstStreams(1000, [](auto&, auto&) { return kAway; }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  std::vector<AttendCall> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(stream.Attend(SmallRequest(), WithinAMinute()));
  for (AttendCall& call : calls) {
    const absl::Status status = call.Take().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(std::string(status.message()), "come back later");
  }
  EXPECT_GE(server.call_count(), 5);
}

TEST(StreamRetry, ARequestThatIsRefusedAsUnavailableGoesToAnotherStream) {
  absl::Notification refused;
  const FakeServer server(test::AnswerQuery, FirstStreams(1, [&](auto&, MessageStream& messages) {
                            FakeStream stream(messages);
                            const auto first = stream.Next();
                            const auto second = stream.Next();
                            stream.Refuse(second->id, grpc::StatusCode::UNAVAILABLE, "stopping");
                            refused.WaitForNotification();
                            // It is still good for what it has.
                            stream.Answer(*first);
                            EXPECT_FALSE(stream.Next().has_value()) << "expected to be half-closed";
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  const auto query = Numbers(10);
  AttendCall first = stream.Attend(RequestOf(query), WithinAMinute());
  ExpectAnswer(stream.Attend(RequestOf(query), WithinAMinute()), query);
  EXPECT_FALSE(first.WaitUntil(absl::InfinitePast()));
  refused.Notify();
  ExpectAnswer(std::move(first), query);
  EXPECT_EQ(server.call_count(), 2);
}

TEST(StreamRetry, ARequestThatIsAlwaysUnavailableEnds) {
  const FakeServer server(test::AnswerQuery, FirstStreams(1000, [&](auto&, MessageStream& messages) {
                            FakeStream stream(messages);
                            while (const auto request = stream.Next()) {
                              stream.Refuse(request->id, grpc::StatusCode::UNAVAILABLE, "stopping");
                            }
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  const absl::Status status = stream.Attend(SmallRequest(), WithinAMinute()).Take().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(status.message()), "stopping");
  EXPECT_EQ(server.call_count(), 5);
}

TEST(StreamRetry, OtherErrorsAreFinal) {
  const FakeServer server(test::AnswerQuery, FirstStreams(1, [](auto&, MessageStream& messages) {
                            FakeStream stream(messages);
                            stream.Next();
                            return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "nobody took the answers");
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  EXPECT_EQ(stream.Attend(SmallRequest(), WithinAMinute()).Take().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(server.call_count(), 1);
  // The stream is as good as new.
  EXPECT_TRUE(stream.Attend(SmallRequest(), WithinAMinute()).Take().ok());
}

TEST(StreamRetry, AServerThatEndsWithoutAnsweringIsAnError) {
  const FakeServer server(test::AnswerQuery, FirstStreams(1, [](auto&, MessageStream& messages) {
                            FakeStream stream(messages);
                            stream.Next();
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  EXPECT_EQ(stream.Attend(SmallRequest(), WithinAMinute()).Take().status().code(), absl::StatusCode::kInternal);
}

TEST(StreamRetry, AnAnswerThatIsNoMessageEndsTheStream) {
  // What a v1::StreamAttendResponse with two contents is on the wire.
  const FakeServer server(test::AnswerQuery, FirstStreams(1, [](auto& context, MessageStream& messages) {
                            FakeStream stream(messages);
                            stream.Next();
                            v1::StreamAttendResponse message;
                            message.mutable_part();
                            message.GetReflection()->MutableUnknownFields(&message)->AddLengthDelimited(
                                v1::StreamAttendResponse::kPartFieldNumber, "");
                            messages.Write(message);
                            v1::AttendResponse unused;
                            return test::WaitUntilCancelled(context, {}, unused);
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  EXPECT_EQ(stream.Attend(SmallRequest(), WithinAMinute()).Take().status().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(stream.Attend(SmallRequest(), WithinAMinute()).Take().ok());
}

TEST(StreamRetry, AnotherServerTakesOver) {
  auto first = std::make_unique<FakeServer>(test::AnswerQuery, WithStream());
  const FakeServer second(test::AnswerQuery, WithStream());
  Client client(test::AddressOf(*first, second));
  AttendStream stream = client.OpenStream();
  std::atomic<bool> is_over = false;
  std::atomic<int> calls = 0;
  const auto query = Numbers(1 << 17);
  std::thread caller([&] {
    while (!is_over) {
      ExpectAnswer(stream.Attend(RequestOf(query), WithinAMinute()), query);
      ++calls;
    }
  });
  const auto wait_for_calls = [&calls](int more) {
    const int before = calls;
    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (calls < before + more && absl::Now() < end) absl::SleepFor(absl::Milliseconds(1));
  };
  wait_for_calls(3);
  first.reset();
  wait_for_calls(3);
  is_over = true;
  caller.join();
  EXPECT_GE(calls, 6);
}

TEST(StreamRetry, WithoutAServerACallEndsUnavailable) {
  std::string address;
  {
    const FakeServer server;
    address = server.address();
  }
  Client client(address);
  AttendStream stream = client.OpenStream();
  EXPECT_EQ(stream.Attend(SmallRequest(), WithinAMinute()).Take().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace attnd

// Calls on a stream: what is sent, and what comes back.
#include <absl/status/status.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <memory>
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
using test::FakeStream;
using test::SmallRequest;
using test::WithinAMinute;
using test::WithStream;

// One whose query has `rows` rows of 4 elements, its own memory, and numbers that tell where they are.
std::vector<float> Numbers(std::int64_t rows) {
  std::vector<float> numbers(static_cast<std::size_t>(rows) * 4);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
  return numbers;
}

AttendRequest RequestOf(const std::vector<float>& query) {
  AttendRequest request = SmallRequest();
  request.query = {ElementType::kFloat32, {static_cast<std::int64_t>(query.size() / 4), 4}, query.data()};
  return request;
}

TEST(AttendStream, AnswersASmallRequest) {
  const FakeServer server(test::AnswerQuery, WithStream());
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  const auto result = stream.Attend(SmallRequest(), WithinAMinute()).Take();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.shape(), (Shape{1, 4}));
  EXPECT_EQ(result->output.elements<float>()[3], 4);
}

TEST(AttendStream, SendsSmallRequestsWholeAndLargeOnesInParts) {
  std::atomic<int> whole = 0;
  std::atomic<int> in_parts = 0;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto& messages) {
                            FakeStream stream(messages);
                            while (const auto request = stream.Next()) {
                              ++(request->came_in_parts ? in_parts : whole);
                              stream.Answer(*request);
                            }
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  const auto query = Numbers(1 << 18);
  EXPECT_TRUE(stream.Attend(SmallRequest(), WithinAMinute()).Take().ok());
  EXPECT_EQ(whole, 1);
  EXPECT_EQ(in_parts, 0);
  const auto result = stream.Attend(RequestOf(query), WithinAMinute()).Take();
  EXPECT_EQ(in_parts, 1);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(std::memcmp(result->output.data(), query.data(), query.size() * sizeof(float)), 0);
}

// Small enough for a message, but not its answer.
TEST(AttendStream, ARequestWithALargeAnswerGoesInParts) {
  std::atomic<bool> came_in_parts = false;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto& messages) {
                            FakeStream stream(messages);
                            while (const auto request = stream.Next()) {
                              came_in_parts = request->came_in_parts;
                              stream.Refuse(request->id, grpc::StatusCode::INTERNAL, "enough");
                            }
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  const auto rows = Numbers(1000);
  AttendRequest request = RequestOf(rows);
  request.key = request.value = request.query;
  request.return_weights = true;
  EXPECT_EQ(stream.Attend(request, WithinAMinute()).Take().status().message(), "enough");
  EXPECT_TRUE(came_in_parts);
}

TEST(AttendStream, AnswersComeInAnyOrder) {
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto& messages) {
                            FakeStream stream(messages);
                            const auto first = stream.Next();
                            const auto second = stream.Next();
                            if (second) stream.Answer(*second);
                            stream.Next();  // a third only when the second is answered
                            if (first) stream.Answer(*first);
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  const auto queries = std::vector{Numbers(1), Numbers(2)};
  AttendCall first = stream.Attend(RequestOf(queries[0]), WithinAMinute());
  AttendCall second = stream.Attend(RequestOf(queries[1]), WithinAMinute());
  const auto second_result = second.Take();
  ASSERT_TRUE(second_result.ok()) << second_result.status();
  EXPECT_EQ(second_result->output.shape(), (Shape{2, 4}));
  EXPECT_FALSE(first.WaitUntil(absl::InfinitePast()));
  const AttendCall third = stream.Attend(SmallRequest(), WithinAMinute());
  const auto first_result = first.Take();
  ASSERT_TRUE(first_result.ok()) << first_result.status();
  EXPECT_EQ(first_result->output.shape(), (Shape{1, 4}));
}

TEST(AttendStream, OneBadRequestEndsOnlyItself) {
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto& messages) {
                            FakeStream stream(messages);
                            while (const auto request = stream.Next()) {
                              if (request->id == 2) {
                                stream.Refuse(2, grpc::StatusCode::INVALID_ARGUMENT, "problem.scale: found 1e99");
                              } else {
                                stream.Answer(*request);
                              }
                            }
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  std::vector<AttendCall> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(stream.Attend(SmallRequest(), WithinAMinute()));
  EXPECT_TRUE(calls[0].Take().ok());
  const absl::Status refused = calls[1].Take().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(refused.message()), "problem.scale: found 1e99");
  EXPECT_TRUE(calls[2].Take().ok());
  EXPECT_EQ(server.call_count(), 1);
}

TEST(AttendStream, AServerWithoutStreamsIsAnError) {
  const FakeServer server;
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  EXPECT_EQ(stream.Attend(SmallRequest(), WithinAMinute()).Take().status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(stream.Attend(SmallRequest(), WithinAMinute()).Take().status().code(), absl::StatusCode::kUnimplemented);
}

TEST(AttendStream, WhatIsNoTensorIsNotSent) {
  const FakeServer server(test::AnswerQuery, WithStream());
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  AttendRequest request = SmallRequest();
  request.key.data = nullptr;
  EXPECT_EQ(stream.Attend(request).Take().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server.call_count(), 0);
}

TEST(AttendStream, ManyThreadsShareOne) {
  const FakeServer server(test::AnswerQuery, WithStream());
  Client client(server.address());
  AttendStream stream = client.OpenStream({.max_requests_in_flight = 5});
  constexpr int kThreads = 4;
  constexpr int kCallsPerThread = 50;
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kCallsPerThread; ++i) {
        // Some of the sizes go in parts.
        const auto query = Numbers(1 + (i * kThreads + thread) * 150);
        const auto result = stream.Attend(RequestOf(query), WithinAMinute()).Take();
        if (result.ok() && result->output.size_bytes() == query.size() * sizeof(float) &&
            std::memcmp(result->output.data(), query.data(), result->output.size_bytes()) == 0) {
          ++right;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, kThreads * kCallsPerThread);
  EXPECT_EQ(server.call_count(), 1);
}

TEST(AttendStream, CallsMayOutliveItAndTheClient) {
  absl::Notification answer;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto& context, auto& messages) {
                            answer.WaitForNotification();
                            return test::AnswerStream(context, messages);
                          }));
  auto client = std::make_unique<Client>(server.address());
  auto stream = std::make_unique<AttendStream>(client->OpenStream());
  AttendCall call = stream->Attend(SmallRequest(), WithinAMinute());
  stream.reset();
  client.reset();
  answer.Notify();
  const auto result = call.Take();
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST(AttendStream, HalfClosesWhenItIsDestroyed) {
  absl::Notification ended;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto& context, auto& messages) {
                            const grpc::Status status = test::AnswerStream(context, messages);
                            EXPECT_FALSE(context.IsCancelled());
                            ended.Notify();
                            return status;
                          }));
  Client client(server.address());
  {
    AttendStream stream = client.OpenStream();
    EXPECT_TRUE(stream.Attend(SmallRequest(), WithinAMinute()).Take().ok());
    EXPECT_FALSE(ended.HasBeenNotified());
  }
  EXPECT_TRUE(ended.WaitForNotificationWithTimeout(absl::Minutes(1)));
}

TEST(AttendStream, MayBeMoved) {
  const FakeServer server(test::AnswerQuery, WithStream());
  Client client(server.address());
  AttendStream first = client.OpenStream();
  AttendStream second = std::move(first);
  EXPECT_TRUE(second.Attend(SmallRequest(), WithinAMinute()).Take().ok());
  second = client.OpenStream();
  EXPECT_TRUE(second.Attend(SmallRequest(), WithinAMinute()).Take().ok());
}

}  // namespace
}  // namespace attnd

// Calls that are not waited for.
#include <absl/status/status.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"

namespace attnd {
namespace {

using test::FakeServer;
using test::SmallRequest;
using test::WithinAMinute;

absl::Time InAMinute() { return absl::Now() + absl::Minutes(1); }

TEST(AttendCall, IsDoneWhenTheServerHasAnswered) {
  absl::Notification answer;
  const FakeServer server([&](auto& context, auto& request, auto& response) {
    answer.WaitForNotification();
    return test::AnswerQuery(context, request, response);
  });
  Client client(server.address());
  AttendCall call = client.AttendAsync(SmallRequest(), WithinAMinute());
  EXPECT_FALSE(call.WaitUntil(absl::InfinitePast()));
  answer.Notify();
  EXPECT_TRUE(call.WaitUntil(InAMinute()));
  EXPECT_TRUE(call.WaitUntil(absl::InfinitePast()));
  const auto result = call.Take();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.shape(), (Shape{1, 4}));
}

TEST(AttendCall, ManyAreOnTheirWayAtOnce) {
  constexpr int kCalls = 8;
  std::atomic<int> arrived = 0;
  absl::Notification all_arrived;
  // None is answered before all are there.
  const FakeServer server([&](auto& context, auto& request, auto& response) {
    if (++arrived == kCalls) all_arrived.Notify();
    all_arrived.WaitForNotification();
    return test::AnswerQuery(context, request, response);
  });
  Client client(server.address());
  std::vector<std::vector<float>> queries;
  std::vector<AttendCall> calls;
  queries.reserve(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    queries.emplace_back(4, static_cast<float>(i));
    AttendRequest request = SmallRequest();
    request.query.data = queries.back().data();
    calls.push_back(client.AttendAsync(request, WithinAMinute()));
  }
  for (int i = 0; i < kCalls; ++i) {
    const auto result = calls[static_cast<std::size_t>(i)].Take();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->output.elements<float>()[0], static_cast<float>(i));
  }
}

TEST(AttendCall, CancelEndsIt) {
  absl::Notification arrived;
  const FakeServer server([&](auto& context, auto& request, auto& response) {
    arrived.Notify();
    return test::WaitUntilCancelled(context, request, response);
  });
  Client client(server.address());
  AttendCall call = client.AttendAsync(SmallRequest());
  arrived.WaitForNotification();
  std::thread other([&] { call.Cancel(); });
  EXPECT_EQ(call.Take().status().code(), absl::StatusCode::kCancelled);
  other.join();
}

TEST(AttendCall, CancelIsTooLateForOneThatIsDone) {
  const FakeServer server;
  Client client(server.address());
  AttendCall call = client.AttendAsync(SmallRequest(), WithinAMinute());
  ASSERT_TRUE(call.WaitUntil(InAMinute()));
  call.Cancel();
  EXPECT_TRUE(call.Take().ok());
}

TEST(AttendCall, DestroyingItCancelsAndLetsGoOfTheTensors) {
  absl::Notification arrived;
  absl::Notification cancelled;
  const FakeServer server([&](auto& context, auto& request, auto& response) {
    arrived.Notify();
    const grpc::Status status = test::WaitUntilCancelled(context, request, response);
    cancelled.Notify();
    return status;
  });
  Client client(server.address());
  auto query = std::make_unique<std::vector<float>>(1 << 20);
  AttendRequest request = SmallRequest();
  request.query = {ElementType::kFloat32, {1, 1 << 20}, query->data()};
  {
    const AttendCall call = client.AttendAsync(request, WithinAMinute());
    arrived.WaitForNotification();
  }
  query.reset();  // the address sanitizer sees who still reads it
  EXPECT_TRUE(cancelled.WaitForNotificationWithTimeout(absl::Minutes(1)));
}

// Destroyed at every stage of being sent: nothing may read a tensor after that.
TEST(AttendCall, MayBeDestroyedWhileItIsBeingSent) {
  const FakeServer server;
  Client client(server.address());
  for (int i = 0; i < 50; ++i) {
    auto query = std::make_unique<std::vector<float>>(1 << 18);
    AttendRequest request = SmallRequest();
    request.query = {ElementType::kFloat32, {1, 1 << 18}, query->data()};
    AttendCall call = client.AttendAsync(request, WithinAMinute());
    call.WaitUntil(absl::Now() + absl::Microseconds(40 * i));
  }
}

TEST(AttendCall, MayBeMoved) {
  const FakeServer server;
  Client client(server.address());
  AttendCall first = client.AttendAsync(SmallRequest(), WithinAMinute());
  AttendCall moved = std::move(first);
  EXPECT_TRUE(moved.Take().ok());
  moved = client.AttendAsync(SmallRequest(), WithinAMinute());
  EXPECT_TRUE(moved.Take().ok());
}

TEST(AttendCall, MayOutliveItsClient) {
  absl::Notification answer;
  const FakeServer server([&](auto& context, auto& request, auto& response) {
    answer.WaitForNotification();
    return test::AnswerQuery(context, request, response);
  });
  auto client = std::make_unique<Client>(server.address());
  AttendCall call = client->AttendAsync(SmallRequest(), WithinAMinute());
  client.reset();
  answer.Notify();
  const auto result = call.Take();
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST(AttendCall, ThreadsMayShareAClient) {
  const FakeServer server;
  Client client(server.address());
  constexpr int kThreads = 4;
  constexpr int kCallsPerThread = 25;
  std::atomic<int> succeeded = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < kCallsPerThread; ++call) {
        if (client.Attend(SmallRequest(), WithinAMinute()).ok()) ++succeeded;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(succeeded, kThreads * kCallsPerThread);
}

}  // namespace
}  // namespace attnd

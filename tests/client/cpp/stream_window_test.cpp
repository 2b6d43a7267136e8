// How much is on its way on a stream, and who waits.
#include "client/cpp/stream_window.h"

#include <absl/status/status.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "tests/client/cpp/fake_server.h"
#include "tests/client/cpp/fake_stream.h"

namespace attnd {
namespace {

using test::FakeServer;
using test::FakeStream;
using test::SmallRequest;
using test::WithinAMinute;
using test::WithStream;

absl::Time InAMinute() { return absl::Now() + absl::Minutes(1); }

// Past: whoever would have to wait does not get in.
constexpr absl::Time kNow = absl::InfinitePast();

TEST(StreamWindow, HoldsSoManyRequests) {
  StreamWindow window({.max_requests_in_flight = 2, .max_bytes_in_flight = 1000});
  EXPECT_TRUE(window.Enter(1, kNow));
  EXPECT_TRUE(window.Enter(1, kNow));
  EXPECT_FALSE(window.Enter(1, kNow));
  window.Leave(1);
  EXPECT_TRUE(window.Enter(1, kNow));
}

TEST(StreamWindow, HoldsSoManyBytes) {
  StreamWindow window({.max_requests_in_flight = 10, .max_bytes_in_flight = 1000});
  EXPECT_TRUE(window.Enter(600, kNow));
  EXPECT_FALSE(window.Enter(401, kNow));
  EXPECT_TRUE(window.Enter(400, kNow));
  window.Leave(600);
  EXPECT_TRUE(window.Enter(600, kNow));
}

TEST(StreamWindow, ALargerRequestGoesAlone) {
  StreamWindow window({.max_requests_in_flight = 10, .max_bytes_in_flight = 1000});
  EXPECT_TRUE(window.Enter(5000, kNow));
  EXPECT_FALSE(window.Enter(1, kNow));
  window.Leave(5000);
  EXPECT_TRUE(window.Enter(1, kNow));
  EXPECT_FALSE(window.Enter(5000, kNow));
}

// Else a large request would wait for ever while small ones pass it.
TEST(StreamWindow, NobodyPassesOneWhoWaits) {
  StreamWindow window({.max_requests_in_flight = 10, .max_bytes_in_flight = 1000});
  ASSERT_TRUE(window.Enter(900, kNow));
  std::atomic<bool> is_in = false;
  std::thread large([&] { is_in = window.Enter(800, InAMinute()); });
  // A small one gets in until the large one waits.
  const absl::Time end = InAMinute();
  while (window.Enter(1, kNow) && absl::Now() < end) {
    window.Leave(1);
    absl::SleepFor(absl::Milliseconds(1));
  }
  EXPECT_FALSE(is_in);
  EXPECT_FALSE(window.Enter(1, kNow));
  window.Leave(900);
  large.join();
  EXPECT_TRUE(is_in);
  EXPECT_TRUE(window.Enter(1, kNow));
}

TEST(StreamWindow, WhoGivesUpIsNotWaitedFor) {
  StreamWindow window({.max_requests_in_flight = 10, .max_bytes_in_flight = 1000});
  ASSERT_TRUE(window.Enter(900, kNow));
  EXPECT_FALSE(window.Enter(800, absl::Now() + absl::Milliseconds(20)));
  EXPECT_TRUE(window.Enter(100, kNow));
}

TEST(StreamWindow, AStreamHasNoMoreOnItsWay) {
  constexpr int kCalls = 20;
  std::atomic<int> most = 0;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto& messages) {
                            FakeStream stream(messages);
                            std::vector<test::StreamedRequest> held;
                            for (int answered = 0; answered < kCalls; ++answered) {
                              // Waits for as many as may come, and then answers one.
                              while (held.size() < 3 && static_cast<int>(held.size()) + answered < kCalls) {
                                if (auto request = stream.Next()) held.push_back(*std::move(request));
                              }
                              most = std::max(most.load(), static_cast<int>(held.size()));
                              stream.Answer(held.front());
                              held.erase(held.begin());
                            }
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream({.max_requests_in_flight = 3});
  std::vector<AttendCall> calls;
  int done_before = 0;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(stream.Attend(SmallRequest(), WithinAMinute()));
    done_before = static_cast<int>(
        std::count_if(calls.begin(), calls.end(), [](auto& call) { return call.WaitUntil(absl::InfinitePast()); }));
    EXPECT_GE(done_before, i + 1 - 3) << "Attend returned while three others were on their way";
  }
  for (AttendCall& call : calls) EXPECT_TRUE(call.Take().ok());
  EXPECT_EQ(most, 3);
}

TEST(StreamWindow, WaitingForItEndsAtTheDeadline) {
  absl::Notification end;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto& messages) {
                            FakeStream stream(messages);
                            const auto request = stream.Next();
                            end.WaitForNotification();
                            stream.Answer(*request);
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream({.max_requests_in_flight = 1});
  AttendCall first = stream.Attend(SmallRequest(), WithinAMinute());
  AttendCall second = stream.Attend(SmallRequest(), {.deadline = absl::Now() + absl::Milliseconds(50)});
  EXPECT_EQ(second.Take().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(first.WaitUntil(absl::InfinitePast()));
  end.Notify();
  EXPECT_TRUE(first.Take().ok());
}

}  // namespace
}  // namespace attnd

// Calls on a stream that nobody wants any more.
#include <absl/status/status.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
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
using test::StreamedRequest;
using test::WithinAMinute;
using test::WithStream;

AttendRequest RequestOf(const std::vector<float>& query) {
  AttendRequest request = SmallRequest();
  request.query = {ElementType::kFloat32, {1, static_cast<std::int64_t>(query.size())}, query.data()};
  request.value = request.query;
  return request;
}

TEST(StreamCancel, EndsTheCallAndTellsTheServer) {
  absl::Notification arrived;
  std::atomic<std::uint64_t> cancelled = 0;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto& context, auto& messages) {
                            FakeStream stream(messages);
                            const auto first = stream.Next();
                            arrived.Notify();
                            const auto second = stream.Next();
                            if (second && second->is_cancelled) cancelled = second->id;
                            // Too late: it is not listened to.
                            if (first) stream.Answer(*first);
                            return test::AnswerStream(context, messages);
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  AttendCall call = stream.Attend(SmallRequest(), WithinAMinute());
  arrived.WaitForNotification();
  call.Cancel();
  EXPECT_EQ(call.Take().status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(stream.Attend(SmallRequest(), WithinAMinute()).Take().ok());
  EXPECT_EQ(cancelled, 1u);
  EXPECT_EQ(server.call_count(), 1);
}

TEST(StreamCancel, IsTooLateForOneThatIsDone) {
  const FakeServer server(test::AnswerQuery, WithStream());
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  AttendCall call = stream.Attend(SmallRequest(), WithinAMinute());
  ASSERT_TRUE(call.WaitUntil(absl::Now() + absl::Minutes(1)));
  call.Cancel();
  EXPECT_TRUE(call.Take().ok());
}

// The server reads nothing, so that neither the rest of the request nor the cancellation can be sent.
TEST(StreamCancel, DoesNotWaitForAServerThatReadsNothing) {
  absl::Notification end;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto&) {
                            end.WaitForNotification();
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  {
    AttendStream stream = client.OpenStream();
    auto query = std::make_unique<std::vector<float>>(1 << 23);
    AttendCall call = stream.Attend(RequestOf(*query), WithinAMinute());
    call.WaitUntil(absl::Now() + absl::Milliseconds(50));
    call.Cancel();
    EXPECT_EQ(call.Take().status().code(), absl::StatusCode::kCancelled);
    query.reset();  // the address sanitizer sees who still reads it
  }
  end.Notify();
}

// Destroyed at every stage of being sent: nothing may read a tensor after that, and others are not disturbed.
TEST(StreamCancel, ACallMayBeDestroyedWhileItIsBeingSent) {
  const FakeServer server(test::AnswerQuery, WithStream());
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  const std::vector<float> other_query(1 << 18, 3);
  for (int i = 0; i < 25; ++i) {
    auto query = std::make_unique<std::vector<float>>(1 << 18);
    AttendCall other = stream.Attend(RequestOf(other_query), WithinAMinute());
    {
      AttendCall call = stream.Attend(RequestOf(*query), WithinAMinute());
      call.WaitUntil(absl::Now() + absl::Microseconds(80 * i));
    }
    query.reset();
    const auto result = other.Take();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->output.elements<float>()[(1 << 18) - 1], 3);
  }
  EXPECT_EQ(server.call_count(), 1);
}

TEST(StreamCancel, MayComeFromAnotherThread) {
  const FakeServer server(test::AnswerQuery, WithStream([](auto&, auto& messages) {
                            FakeStream stream(messages);
                            while (stream.Next()) continue;
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  AttendCall call = stream.Attend(SmallRequest());
  std::thread other([&] { call.Cancel(); });
  EXPECT_EQ(call.Take().status().code(), absl::StatusCode::kCancelled);
  other.join();
}

}  // namespace
}  // namespace attnd

// Deadlines of calls on a stream, whatever the server does.
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
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

TEST(StreamDeadline, EndsTheCallAndTellsTheServer) {
  std::atomic<bool> cancelled = false;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto& messages) {
                            FakeStream stream(messages);
                            while (const auto request = stream.Next()) {
                              if (request->is_cancelled) {
                                cancelled = true;
                              } else if (request->id > 1) {
                                stream.Answer(*request);
                              }
                            }
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  AttendCall call = stream.Attend(SmallRequest(), {.deadline = absl::Now() + absl::Milliseconds(100)});
  EXPECT_EQ(call.Take().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(stream.Attend(SmallRequest(), WithinAMinute()).Take().ok());
  EXPECT_TRUE(cancelled);
  EXPECT_EQ(server.call_count(), 1);
}

TEST(StreamDeadline, IsToldToTheServer) {
  absl::Mutex mutex;
  std::vector<std::optional<double>> timeouts;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto& messages) {
                            FakeStream stream(messages);
                            while (const auto request = stream.Next()) {
                              {
                                const absl::MutexLock lock(&mutex);
                                timeouts.push_back(request->timeout_seconds);
                              }
                              stream.Answer(*request);
                            }
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  ASSERT_TRUE(stream.Attend(SmallRequest(), {.deadline = absl::Now() + absl::Hours(1)}).Take().ok());
  ASSERT_TRUE(stream.Attend(SmallRequest()).Take().ok());
  const absl::MutexLock lock(&mutex);
  ASSERT_EQ(timeouts.size(), 2u);
  ASSERT_TRUE(timeouts[0].has_value());
  EXPECT_GT(*timeouts[0], 1800);
  EXPECT_LE(*timeouts[0], 3600);
  EXPECT_FALSE(timeouts[1].has_value());
}

TEST(StreamDeadline, OneThatHasPassedEndsTheCall) {
  const FakeServer server(test::AnswerQuery, WithStream([](auto&, auto& messages) {
                            FakeStream stream(messages);
                            while (stream.Next()) continue;
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  AttendStream stream = client.OpenStream();
  for (const absl::Time deadline : {absl::InfinitePast(), absl::UnixEpoch(), absl::Now()}) {
    EXPECT_EQ(stream.Attend(SmallRequest(), {.deadline = deadline}).Take().status().code(),
              absl::StatusCode::kDeadlineExceeded);
  }
}

// The request is larger than what gRPC takes before the server reads.
TEST(StreamDeadline, HoldsWhereTheServerReadsNothing) {
  absl::Notification end;
  const FakeServer server(test::AnswerQuery, WithStream([&](auto&, auto&) {
                            end.WaitForNotification();
                            return grpc::Status::OK;
                          }));
  Client client(server.address());
  {
    AttendStream stream = client.OpenStream();
    const std::vector<float> query(1 << 23);
    AttendRequest request = SmallRequest();
    request.query = {ElementType::kFloat32, {1, 1 << 23}, query.data()};
    AttendCall large = stream.Attend(request, {.deadline = absl::Now() + absl::Milliseconds(100)});
    AttendCall small = stream.Attend(SmallRequest(), {.deadline = absl::Now() + absl::Milliseconds(100)});
    EXPECT_EQ(small.Take().status().code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(large.Take().status().code(), absl::StatusCode::kDeadlineExceeded);
  }
  end.Notify();
}

}  // namespace
}  // namespace attnd

// What is tried again, and what is not.
#include <absl/status/status.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"
#include "tests/support/temporary_folder.h"

namespace attnd {
namespace {

using test::FakeServer;
using test::SmallRequest;
using test::WithinAMinute;

// UNAVAILABLE that often, then the query.
test::AttendHandler AnswerAfterFailures(int failures) {
  return [left = std::make_shared<std::atomic<int>>(failures)](auto& context, auto& request, auto& response) {
    if ((*left)-- > 0) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "come back later");
    return test::AnswerQuery(context, request, response);
  };
}

TEST(Retry, UnavailableIsTriedAgain) {
  const FakeServer server(AnswerAfterFailures(1));
  Client client(server.address());
  const auto result = client.Attend(SmallRequest(), WithinAMinute());
  EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(server.call_count(), 2);
}

// gRPC's own limit for a message that it would send again is 256 KiB.
TEST(Retry, ALargeRequestIsSentAgainWhole) {
  const FakeServer server(AnswerAfterFailures(2));
  Client client(server.address());
  std::vector<float> query(4 << 20);
  query.back() = 42;
  AttendRequest request = SmallRequest();
  request.query = {ElementType::kFloat32, {1, 4 << 20}, query.data()};
  const auto result = client.Attend(request, WithinAMinute());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.elements<float>()[query.size() - 1], 42);
  EXPECT_EQ(server.call_count(), 3);
}

TEST(Retry, GivesUpAfterFiveAttempts) {
  const FakeServer server(AnswerAfterFailures(1000));
  Client client(server.address());
  const auto result = client.Attend(SmallRequest(), WithinAMinute());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(result.status().message()), "come back later");
  EXPECT_EQ(server.call_count(), 5);
}

TEST(Retry, TheDeadlineHoldsForAllAttemptsTogether) {
  const FakeServer server([](auto& context, auto& request, auto& response) {
    return test::WaitUntilCancelled(context, request, response);
  });
  Client client(server.address());
  const auto result = client.Attend(SmallRequest(), {.deadline = absl::Now() + absl::Milliseconds(300)});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_LE(server.call_count(), 1);
}

// The server's own limit: trying at once again would only make it worse.
TEST(Retry, ResourceExhaustedIsNotTriedAgain) {
  const FakeServer server(
      [](auto&, auto&, auto&) { return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too much in flight"); });
  Client client(server.address());
  EXPECT_EQ(client.Attend(SmallRequest(), WithinAMinute()).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(server.call_count(), 1);
}

class RestartTest : public testing::Test {
 protected:
  // A name that is nobody else's, and can be listened at again.
  std::string address() const { return "unix:" + folder_.path("socket"); }

 private:
  const test::TemporaryFolder folder_;
};

TEST_F(RestartTest, AServerThatComesBackIsFoundAgain) {
  auto server = std::make_unique<FakeServer>(test::AnswerQuery, test::FakeServerOptions{.listen = address()});
  Client client(address());
  ASSERT_TRUE(client.Attend(SmallRequest(), WithinAMinute()).ok());
  server.reset();
  EXPECT_EQ(client.Attend(SmallRequest(), WithinAMinute()).status().code(), absl::StatusCode::kUnavailable);

  server = std::make_unique<FakeServer>(test::AnswerQuery, test::FakeServerOptions{.listen = address()});
  const absl::Time end = absl::Now() + absl::Minutes(1);
  absl::StatusOr<AttendResult> result = client.Attend(SmallRequest(), WithinAMinute());
  while (!result.ok() && absl::Now() < end) result = client.Attend(SmallRequest(), WithinAMinute());
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST_F(RestartTest, WithoutAServerACallEndsUnavailable) {
  Client client(address());
  EXPECT_EQ(client.Attend(SmallRequest(), WithinAMinute()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(client.GetServerInfo(WithinAMinute()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(client.CheckHealth(WithinAMinute()).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace attnd

// What a call gives: the server's answer, or its status as absl's.
#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"

namespace attnd {
namespace {

using test::FakeServer;
using test::SmallRequest;
using test::WithinAMinute;
using testing::HasSubstr;

TEST(Status, AnAnswerIsTheServers) {
  const FakeServer server;
  Client client(server.address());
  const auto result = client.Attend(SmallRequest(), WithinAMinute());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output.shape(), (Shape{1, 4}));
  EXPECT_EQ(std::memcmp(result->output.data(), SmallRequest().query.data, result->output.size_bytes()), 0);
}

TEST(Status, EveryCodeAndItsTextArriveAsTheServerGaveThem) {
  // UNAVAILABLE is tried again first; retry_test.cpp is about that.
  for (int code = 1; code <= 16; ++code) {
    if (code == grpc::StatusCode::UNAVAILABLE) continue;
    const FakeServer server([code](auto&, auto&, auto&) {
      return grpc::Status(static_cast<grpc::StatusCode>(code), "problem.query: ☃ found");
    });
    Client client(server.address());
    const auto result = client.Attend(SmallRequest(), WithinAMinute());
    EXPECT_EQ(result.status().raw_code(), code);
    EXPECT_EQ(std::string(result.status().message()), "problem.query: ☃ found");
    EXPECT_EQ(server.call_count(), 1);
  }
}

TEST(Status, AnAnswerThatContradictsItselfIsInternal) {
  const FakeServer server([](auto& context, auto& request, auto& response) {
    const grpc::Status status = test::AnswerQuery(context, request, response);
    response.mutable_output_data()->pop_back();
    return status;
  });
  Client client(server.address());
  const auto result = client.Attend(SmallRequest(), WithinAMinute());
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("output"));
}

TEST(Status, ARequestThatCannotBeWrittenIsNotSent) {
  const FakeServer server;
  Client client(server.address());
  AttendRequest request = SmallRequest();
  request.value.data = nullptr;
  EXPECT_EQ(client.Attend(request, WithinAMinute()).status().code(), absl::StatusCode::kInvalidArgument);
  AttendCall call = client.AttendAsync(request, WithinAMinute());
  EXPECT_TRUE(call.WaitUntil(absl::InfinitePast()));
  EXPECT_EQ(call.Take().status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server.call_count(), 0);
}

// gRPC's own limits are 4 MiB.
TEST(Status, MessagesMayBeLarge) {
  const FakeServer server;
  Client client(server.address());
  constexpr std::int64_t kElements = 8 << 20;
  std::vector<float> query(kElements);
  for (std::size_t i = 0; i < query.size(); ++i) query[i] = static_cast<float>(i % 1021);
  AttendRequest request = SmallRequest();
  request.query = {ElementType::kFloat32, {1, kElements}, query.data()};
  const auto result = client.Attend(request, WithinAMinute());
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->output.size_bytes(), query.size() * sizeof(float));
  EXPECT_EQ(std::memcmp(result->output.data(), query.data(), result->output.size_bytes()), 0);
}

TEST(Status, ADeadlineEndsACall) {
  const FakeServer server(test::WaitUntilCancelled);
  Client client(server.address());
  // So that the connection is there, and it is the call that takes long.
  ASSERT_TRUE(client.GetServerInfo(WithinAMinute()).ok());
  const absl::Time deadline = absl::Now() + absl::Milliseconds(50);
  const auto result = client.Attend(SmallRequest(), {.deadline = deadline});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(absl::Now(), deadline);
}

// However far the request has come by then, Attend returns, and nothing reads its tensors any more.
TEST(Status, ADeadlineMayPassWhileTheRequestIsBeingSent) {
  const FakeServer server;
  Client client(server.address());
  for (int i = 0; i < 50; ++i) {
    const std::vector<float> query(1 << 18);
    AttendRequest request = SmallRequest();
    request.query = {ElementType::kFloat32, {1, 1 << 18}, query.data()};
    const auto result = client.Attend(request, {.deadline = absl::Now() + absl::Microseconds(100 * i)});
    if (!result.ok()) {
      EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
    }
  }
}

TEST(Status, ADeadlineThatHasPassedEndsEveryKindOfCall) {
  const FakeServer server;
  Client client(server.address());
  const CallOptions late{.deadline = absl::Now() - absl::Seconds(1)};
  EXPECT_EQ(client.Attend(SmallRequest(), late).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(client.AttendAsync(SmallRequest(), late).Take().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(client.GetServerInfo(late).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(client.CheckHealth(late).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(client.Attend(SmallRequest(), {.deadline = absl::InfinitePast()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(server.call_count(), 0);
}

}  // namespace
}  // namespace attnd

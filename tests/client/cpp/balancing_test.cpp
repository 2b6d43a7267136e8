// Two servers behind one address: calls go round, and past the one that is not healthy.
#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"

namespace attnd {
namespace {

using test::FakeServer;
using test::SmallRequest;
using test::WithinAMinute;

class BalancingTest : public testing::Test {
 protected:
  // Calls, all of which must succeed, until the condition holds; whether it did within a minute.
  bool CallUntil(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + absl::Minutes(1);
    while (!condition() && absl::Now() < end) {
      const auto result = client_.Attend(SmallRequest(), WithinAMinute());
      EXPECT_TRUE(result.ok()) << result.status();
      if (!result.ok()) return false;
    }
    return condition();
  }

  bool CallUntilBothWereCalled() {
    const int first = first_.call_count();
    const int second = second_.call_count();
    return CallUntil([&] { return first_.call_count() > first && second_.call_count() > second; });
  }

  // Until so many calls in a row went to the second server alone.
  bool CallUntilOnlyTheSecondIsCalled() {
    constexpr int kInARow = 20;
    int first = first_.call_count();
    int second = second_.call_count();
    return CallUntil([&] {
      if (first_.call_count() > first) {
        first = first_.call_count();
        second = second_.call_count();
      }
      return second_.call_count() >= second + kInARow;
    });
  }

  FakeServer first_;
  FakeServer second_;
  Client client_{test::AddressOf(first_, second_)};
};

TEST_F(BalancingTest, CallsGoRound) {
  ASSERT_TRUE(CallUntilBothWereCalled());
  const int first = first_.call_count();
  const int second = second_.call_count();
  constexpr int kCalls = 20;
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(client_.Attend(SmallRequest(), WithinAMinute()).ok());
  EXPECT_EQ(first_.call_count(), first + kCalls / 2);
  EXPECT_EQ(second_.call_count(), second + kCalls / 2);
}

TEST_F(BalancingTest, AServerThatIsNotServingIsLeftAlone) {
  ASSERT_TRUE(CallUntilBothWereCalled());
  first_.SetServing(false);
  EXPECT_TRUE(CallUntilOnlyTheSecondIsCalled());
  first_.SetServing(true);
  EXPECT_TRUE(CallUntilBothWereCalled());
}

// As attnd does it: NOT_SERVING first, which gives clients time to turn to others.
TEST_F(BalancingTest, AServerThatDrainsAndGoesCostsNoCall) {
  ASSERT_TRUE(CallUntilBothWereCalled());
  first_.SetServing(false);
  EXPECT_TRUE(CallUntilOnlyTheSecondIsCalled());
  std::thread shutdown([&] { first_.Shutdown(); });
  EXPECT_TRUE(CallUntilOnlyTheSecondIsCalled());
  shutdown.join();
}

TEST_F(BalancingTest, WhereNoneIsServingACallEndsUnavailable) {
  ASSERT_TRUE(CallUntilBothWereCalled());
  first_.SetServing(false);
  second_.SetServing(false);
  const absl::Time end = absl::Now() + absl::Minutes(1);
  absl::Status status;
  while (status.ok() && absl::Now() < end) status = client_.Attend(SmallRequest(), WithinAMinute()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
}

// A server without a health service is taken to be healthy.
TEST(Balancing, HealthIsNotNeeded) {
  const FakeServer server(test::AnswerQuery, {.has_health = false});
  Client client(server.address());
  const auto result = client.Attend(SmallRequest(), WithinAMinute());
  EXPECT_TRUE(result.ok()) << result.status();
}

}  // namespace
}  // namespace attnd

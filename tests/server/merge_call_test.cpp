// The one way of a request to merge, without an interface above it: what it takes and gives back, and when it is
// dropped.
#include <absl/time/clock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "server/merge.h"

namespace attnd::server {
namespace {

constexpr std::int64_t kLimitBytes = 100'000;
constexpr std::int64_t kMessageBytes = 2000;
constexpr std::int64_t kInputBytes = 2 * 30 * 8 * 4 + 2 * 30 * 4;
constexpr std::int64_t kAnswerBytes = kInputBytes / 2;

const core::MergeDescription kTwoParts = {.output = {core::ElementType::kFloat32, {2, 30, 8}},
                                          .log_sum_exp = {core::ElementType::kFloat32, {2, 30}},
                                          .output_size_bytes = 2 * 30 * 8 * 4,
                                          .log_sum_exp_size_bytes = 2 * 30 * 4};

class MergeCallTest : public ::testing::Test {
 protected:
  std::unique_ptr<MergeCall> NewCall(absl::Time deadline = absl::InfiniteFuture()) {
    auto call = std::make_unique<MergeCall>(context_, deadline);
    EXPECT_TRUE(call->Receive(kMessageBytes).ok());
    return call;
  }

  static void Fill(const MergeMemory& memory) {
    std::memset(memory.output, 0, static_cast<std::size_t>(kTwoParts.output_size_bytes));
    std::memset(memory.log_sum_exp, 0, static_cast<std::size_t>(kTwoParts.log_sum_exp_size_bytes));
  }

  Metrics metrics_{"", ""};
  Admission admission_{kLimitBytes};
  KeptMemory kept_memory_{0};
  const AttendContext context_{
      .admission = &admission_, .kept_memory = &kept_memory_, .metrics = &metrics_, .max_message_bytes = kLimitBytes};
};

TEST_F(MergeCallTest, HoldsTheMessageThenTheTensorsThenTheAnswer) {
  std::unique_ptr<MergeCall> call = NewCall();
  EXPECT_EQ(admission_.in_flight_bytes(), kMessageBytes);
  const absl::StatusOr<MergeMemory> memory = call->Open(kTwoParts);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(admission_.in_flight_bytes(), kMessageBytes + kInputBytes + kAnswerBytes);
  Fill(*memory);
  call->ReleaseMessage();
  absl::StatusOr<std::shared_ptr<const Merged>> merged = call->Compute(50);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(admission_.in_flight_bytes(), kAnswerBytes);
  call.reset();
  EXPECT_EQ(admission_.in_flight_bytes(), kAnswerBytes);
  merged = absl::CancelledError("sent");
  EXPECT_EQ(admission_.in_flight_bytes(), 0);
}

TEST_F(MergeCallTest, IsRefusedWhereItsAnswerIsOneByteTooMany) {
  const Reservation held = *admission_.Reserve(kLimitBytes - kMessageBytes - kInputBytes - kAnswerBytes + 1);
  std::unique_ptr<MergeCall> call = NewCall();
  EXPECT_EQ(call->Open(kTwoParts).status().code(), absl::StatusCode::kResourceExhausted);
  call.reset();
  EXPECT_EQ(admission_.in_flight_bytes(), held.bytes());
}

TEST_F(MergeCallTest, IsDroppedOnceNobodyWaitsForIt) {
  EXPECT_EQ(NewCall(absl::Now() - absl::Seconds(1))->Open(kTwoParts).status(),
            absl::DeadlineExceededError("deadline: passed before the request was decoded"));
  std::unique_ptr<MergeCall> call = NewCall();
  const absl::StatusOr<MergeMemory> memory = call->Open(kTwoParts);
  ASSERT_TRUE(memory.ok()) << memory.status();
  Fill(*memory);
  call->Cancel();
  EXPECT_EQ(call->Compute(0).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(NewCall()->Open({}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace attnd::server

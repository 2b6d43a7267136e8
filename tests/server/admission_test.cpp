#include "server/admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace attnd::server {
namespace {

TEST(Admission, GivesOutWhatThereIs) {
  Admission admission(100);
  absl::StatusOr<Reservation> first = admission.Reserve(60);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->bytes(), 60);
  absl::StatusOr<Reservation> second = admission.Reserve(40);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(admission.in_flight_bytes(), 100);
  const absl::Status refused = admission.Reserve(1).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.message(),
            "bytes in flight: the request needs 1 more bytes while 100 are held, and the server's limit is 100; retry "
            "later");
  EXPECT_TRUE(admission.Reserve(0).ok());
  first = Reservation();
  EXPECT_EQ(admission.in_flight_bytes(), 40);
  EXPECT_TRUE(admission.Reserve(60).ok());
}

TEST(Admission, SaysWhatNeverFits) {
  const Admission admission(100);
  EXPECT_TRUE(admission.CheckFits(100).ok());
  const absl::Status refused = admission.CheckFits(101);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.message(),
            "bytes in flight: the request would hold 101 bytes, and the server's limit is 100; it is never accepted");
}

TEST(Admission, DoesNotOverflow) {
  Admission admission(INT64_MAX);
  const absl::StatusOr<Reservation> half = admission.Reserve(INT64_MAX / 2 + 2);
  ASSERT_TRUE(half.ok());
  EXPECT_FALSE(admission.Reserve(INT64_MAX).ok());
  EXPECT_FALSE(admission.Reserve(INT64_MAX / 2).ok());
  EXPECT_EQ(admission.in_flight_bytes(), INT64_MAX / 2 + 2);
}

TEST(Reservation, GivesBackOnceHoweverItIsMoved) {
  Admission admission(100);
  {
    Reservation first = *admission.Reserve(10);
    Reservation second = std::move(first);
    EXPECT_EQ(second.bytes(), 10);
    Reservation third = *admission.Reserve(20);
    third = std::move(second);
    EXPECT_EQ(third.bytes(), 10);
    EXPECT_EQ(admission.in_flight_bytes(), 10);
    Reservation& itself = third;
    third = std::move(itself);
    EXPECT_EQ(admission.in_flight_bytes(), 10);
  }
  EXPECT_EQ(admission.in_flight_bytes(), 0);
}

TEST(Admission, WaitsUntilNothingIsHeld) {
  Admission admission(100);
  EXPECT_TRUE(admission.AwaitNoneInFlight(absl::ZeroDuration()));
  Reservation held = *admission.Reserve(1);
  EXPECT_FALSE(admission.AwaitNoneInFlight(absl::Milliseconds(1)));
  std::thread other([&] { held = Reservation(); });
  EXPECT_TRUE(admission.AwaitNoneInFlight(absl::Minutes(1)));
  other.join();
}

TEST(Admission, NeverGoesOverItsLimitWithManyThreads) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 2000;
  constexpr std::int64_t kLimit = 50;
  Admission admission(kLimit);
  std::atomic<std::int64_t> held = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        absl::StatusOr<Reservation> reservation = admission.Reserve(7);
        if (!reservation.ok()) continue;
        EXPECT_LE(held.fetch_add(7) + 7, kLimit);
        held.fetch_sub(7);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admission.in_flight_bytes(), 0);
}

}  // namespace
}  // namespace attnd::server

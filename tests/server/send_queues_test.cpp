#include "server/send_queues.h"

#include <absl/time/clock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace attnd::server {
namespace {

TEST(SendQueues, AreWatchedOnceThatIsStarted) {
  SendQueues queues;
  EXPECT_FALSE(queues.is_watched());
  queues.StartWatching();
  EXPECT_TRUE(queues.is_watched());
}

TEST(SendQueues, TellWhenWhatWasSentHasArrived) {
  SendQueues queues;
  std::array<int, 2> ends;
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  ASSERT_EQ(write(ends[0], "answer", 6), 6);
  // In the future, so that the test is not as long as the longest wait, nor depends on it.
  const absl::Time sent_at = absl::Now() + absl::Hours(1);
  queues.Sample();
  EXPECT_FALSE(queues.IsTaken(absl::Now()));

  std::array<char, 6> answer;
  ASSERT_EQ(read(ends[1], answer.data(), answer.size()), 6);
  const absl::Time read_at = absl::Now();
  queues.Sample();
  EXPECT_TRUE(queues.IsTaken(read_at));
  EXPECT_FALSE(queues.IsTaken(sent_at));
  close(ends[0]);
  close(ends[1]);
}

TEST(SendQueues, WaitForNoPeerLongerThanThat) {
  const SendQueues queues;
  EXPECT_FALSE(queues.IsTaken(absl::Now() + absl::Hours(1)));
  EXPECT_TRUE(queues.IsTaken(absl::Now() - SendQueues::kLongestWait));
}

}  // namespace
}  // namespace attnd::server

// Whose turn it is to send on a stream.
#include "client/cpp/send_queue.h"

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "client/cpp/stream_message.h"

namespace attnd {
namespace {

using testing::ElementsAre;

// One that goes whole where it has at most kPartBytes. Nothing is read of it here.
std::shared_ptr<StreamCall> Call(std::uint64_t number, std::size_t size_bytes) {
  static constexpr std::byte kByte{};
  DescribedRequest request;
  request.tensors.push_back({&InputTensors().front(), &kByte, size_bytes});
  auto call = std::make_shared<StreamCall>(std::move(request), std::nullopt, absl::InfiniteFuture());
  call->number = number;
  return call;
}

// The next `count` calls' numbers; a call goes when its last piece is sent.
std::vector<std::uint64_t> Send(SendQueue& queue, int count) {
  std::vector<std::uint64_t> numbers;
  for (int i = 0; i < count; ++i) {
    const auto call = queue.Next();
    numbers.push_back(call ? call->number : 0);
    if (call && call->NextPiece().is_last) queue.Remove(*call);
  }
  return numbers;
}

TEST(SendQueue, SmallRequestsGoInTheirOrder) {
  SendQueue queue;
  for (const std::uint64_t number : {2, 1, 3}) queue.Add(Call(number, 10));
  EXPECT_FALSE(queue.empty());
  EXPECT_THAT(Send(queue, 4), ElementsAre(1, 2, 3, 0));
  EXPECT_TRUE(queue.empty());
}

// Its beginning is a message, and each part.
TEST(SendQueue, ASmallRequestDoesNotWaitForALargeOne) {
  SendQueue queue;
  queue.Add(Call(1, 100 * kPartBytes));
  EXPECT_THAT(Send(queue, 2), ElementsAre(1, 1));
  queue.Add(Call(2, 10));
  queue.Add(Call(3, 10));
  EXPECT_THAT(Send(queue, 4), ElementsAre(2, 1, 3, 1));
}

TEST(SendQueue, TheOldestAndTheShortestAreSentInParts) {
  SendQueue queue;
  queue.Add(Call(1, 5 * kPartBytes));
  queue.Add(Call(2, 4 * kPartBytes));
  queue.Add(Call(3, 2 * kPartBytes));
  queue.Add(Call(4, 3 * kPartBytes));
  EXPECT_THAT(Send(queue, 19), ElementsAre(3, 1, 3, 1, 3, 1, 4, 1, 4, 1, 4, 1, 4, 2, 2, 2, 2, 2, 0));
}

TEST(SendQueue, WhoIsRemovedSendsNoMore) {
  SendQueue queue;
  const auto large = Call(1, 5 * kPartBytes);
  const auto waiting = Call(4, 6 * kPartBytes);
  const auto small = Call(2, 10);
  queue.Add(large);
  queue.Add(Call(3, 5 * kPartBytes));
  queue.Add(small);
  queue.Add(waiting);
  Send(queue, 2);
  queue.Remove(*large);
  queue.Remove(*waiting);
  queue.Remove(*small);
  queue.Remove(*small);
  EXPECT_THAT(Send(queue, 7), ElementsAre(3, 3, 3, 3, 3, 0, 0));
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace attnd

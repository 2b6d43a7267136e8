// What of a request goes into which message.
#include "client/cpp/stream_call.h"

#include <absl/time/clock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "client/cpp/stream_message.h"

namespace attnd {
namespace {

constexpr std::size_t kGiB = std::size_t{1} << 30;

RequestTensor Tensor(Input input, std::size_t size_bytes, const void* data = nullptr) {
  return {&InputTensors()[static_cast<std::size_t>(input)], static_cast<const std::byte*>(data), size_bytes};
}

StreamCall CallOf(std::vector<RequestTensor> tensors, absl::Time deadline = absl::InfiniteFuture()) {
  return StreamCall({.problem = {}, .tensors = std::move(tensors)}, std::nullopt, deadline);
}

v1::StreamAttendRequest Parsed(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  EXPECT_TRUE(buffer.DumpToSingleSlice(&slice).ok());
  v1::StreamAttendRequest message;
  EXPECT_TRUE(message.ParseFromArray(slice.begin(), static_cast<int>(slice.size())));
  return message;
}

// Of tensors beyond 2 and 4 GiB, of which nothing is read here.
TEST(StreamCall, PartsFollowEachOtherWithoutGaps) {
  const std::size_t sizes_bytes[] = {3 * kGiB + 5, 1, 5 * kGiB, kPartBytes};
  std::vector<RequestTensor> tensors;
  for (const std::size_t size_bytes : sizes_bytes) tensors.push_back(Tensor(Input::kQuery, size_bytes));
  StreamCall call = CallOf(tensors);
  EXPECT_FALSE(call.goes_whole);

  RequestPiece piece = call.NextPiece();
  EXPECT_EQ(piece.kind, RequestPiece::Kind::kStart);
  for (std::size_t tensor = 0; tensor < tensors.size(); ++tensor) {
    for (std::size_t offset_bytes = 0; offset_bytes < sizes_bytes[tensor];) {
      ASSERT_FALSE(piece.is_last);
      piece = call.NextPiece();
      ASSERT_EQ(piece.kind, RequestPiece::Kind::kPart);
      ASSERT_EQ(piece.tensor, tensor);
      ASSERT_EQ(piece.section.offset_bytes, offset_bytes);
      ASSERT_GT(piece.section.size_bytes, 0u);
      ASSERT_LE(piece.section.size_bytes, kPartBytes);
      offset_bytes += piece.section.size_bytes;
      ASSERT_LE(offset_bytes, sizes_bytes[tensor]);
    }
  }
  EXPECT_TRUE(piece.is_last);
}

TEST(StreamCall, GoesWholeUpToAPart) {
  EXPECT_TRUE(CallOf({Tensor(Input::kQuery, kPartBytes)}).goes_whole);
  EXPECT_FALSE(CallOf({Tensor(Input::kQuery, kPartBytes), Tensor(Input::kKey, 1)}).goes_whole);
}

TEST(StreamCall, BeginsAgainFromItsBeginning) {
  StreamCall call = CallOf({Tensor(Input::kQuery, 3 * kPartBytes)});
  for (int i = 0; i < 3; ++i) call.NextPiece();
  call.Rewind();
  EXPECT_EQ(call.NextPiece().kind, RequestPiece::Kind::kStart);
  EXPECT_EQ(call.NextPiece().section.offset_bytes, 0u);
}

TEST(StreamCall, APartBeyond4GiBIsFromThere) {
  // Not backed by memory but where it is written.
  constexpr std::size_t kSize = 5 * kGiB;
  void* const memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  static_cast<char*>(memory)[4 * kGiB + 3] = 'x';
  const StreamCall call = CallOf({Tensor(Input::kValue, kSize, memory)});
  const auto message =
      Parsed(call.Encode(7, {.kind = RequestPiece::Kind::kPart, .tensor = 0, .section = {4 * kGiB, 10}}));
  munmap(memory, kSize);
  EXPECT_EQ(message.id(), 7u);
  EXPECT_EQ(message.part().tensor(), v1::TENSOR_NAME_VALUE);
  EXPECT_EQ(message.part().offset_bytes(), static_cast<std::int64_t>(4 * kGiB));
  EXPECT_EQ(message.part().data(), std::string("\0\0\0x\0\0\0\0\0\0", 10));
  EXPECT_FALSE(message.has_timeout_seconds());
}

TEST(StreamCall, TellsTheServerWhatIsLeftUntilTheDeadline) {
  const StreamCall call = CallOf({}, absl::Now() + absl::Minutes(10));
  const auto message = Parsed(call.Encode(1, {.kind = RequestPiece::Kind::kWhole}));
  EXPECT_GT(message.timeout_seconds(), 60);
  EXPECT_LE(message.timeout_seconds(), 600);
}

TEST(StreamCall, TellsTheServerOfADeadlineThatHasPassed) {
  const StreamCall call = CallOf({}, absl::UnixEpoch());
  const auto message = Parsed(call.Encode(1, {.kind = RequestPiece::Kind::kStart}));
  EXPECT_GT(message.timeout_seconds(), 0);
  EXPECT_LT(message.timeout_seconds(), 1);
}

}  // namespace
}  // namespace attnd

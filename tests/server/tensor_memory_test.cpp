#include "server/tensor_memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace attnd::server {
namespace {

TEST(TensorMemory, BeginsAtAMultipleOf64Bytes) {
  KeptMemory kept(0);
  for (const std::int64_t size_bytes : {1, 63, 64, 65, 100'000}) {
    absl::StatusOr<TensorMemory> memory = TensorMemory::Allocate(size_bytes, kept);
    ASSERT_TRUE(memory.ok()) << memory.status();
    EXPECT_EQ(memory->size_bytes(), size_bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->data()) % 64, 0u);
    std::memset(memory->data(), 1, static_cast<std::size_t>(size_bytes));
    std::byte* const data = memory->data();
    const TensorMemory moved = *std::move(memory);
    EXPECT_EQ(moved.data(), data);
  }
}

TEST(TensorMemory, OfNoBytesIsEmpty) {
  KeptMemory kept(0);
  const absl::StatusOr<TensorMemory> memory = TensorMemory::Allocate(0, kept);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->data(), nullptr);
  EXPECT_EQ(memory->size_bytes(), 0);
}

TEST(TensorMemory, SaysThatItCannotBeHad) {
  KeptMemory kept(0);
  const std::int64_t size_bytes = std::int64_t{1} << 60;
  const absl::StatusOr<TensorMemory> memory = TensorMemory::Allocate(size_bytes, kept);
  EXPECT_EQ(memory.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(memory.status().message(), "memory: 1152921504606846976 bytes for a tensor could not be had");
}

}  // namespace
}  // namespace attnd::server

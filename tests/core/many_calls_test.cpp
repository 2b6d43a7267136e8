// A server makes the same calls for months: what a call leaves behind must be nothing. In a process of its own, since
// it looks at all that is allocated.
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "core/engine.h"
#include "tests/support/allocated_bytes.h"

namespace attnd::core {
namespace {

constexpr int kCalls = 20'000;
// Less than a byte a call.
constexpr std::int64_t kAllowedBytes = 16 << 10;

TEST(ManyCallsTest, LeaveNothingBehind) {
  constexpr std::int64_t kHeads = 2;
  constexpr std::int64_t kRows = 3;
  constexpr std::int64_t kHeadSize = 8;
  constexpr std::int64_t kElements = kHeads * kRows * kHeadSize;
  const TensorDescription tensor{ElementType::kFloat32, {kHeads, kRows, kHeadSize}};
  const absl::StatusOr<Problem> problem = CheckProblem(
      {.query = tensor, .key = tensor, .value = tensor, .size_bytes = {{kElements * 4, kElements * 4, kElements * 4}}},
      {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  const std::vector<float> elements(kElements, 0.5F);
  std::vector<float> output(kElements);
  Engine engine({.worker_count = 2});
  const auto call = [&](int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(
          engine
              .Run(
                  *problem,
                  {.query = elements.data(), .key = elements.data(), .value = elements.data(), .output = output.data()})
              .ok());
    }
  };
  call(kCalls / 10);
  const std::int64_t before = test::AllocatedBytes();
  call(kCalls);
  EXPECT_LE(test::AllocatedBytes() - before, kAllowedBytes);
}

}  // namespace
}  // namespace attnd::core

// Callers choose the shapes, and each may need code of its own: 10,000 of them must not make memory grow.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/engine.h"
#include "tests/support/allocated_bytes.h"

namespace attnd::core {
namespace {

constexpr std::int64_t kMostQueryRows = 40;
constexpr std::int64_t kMostKeys = 529;
constexpr std::int64_t kMostHeadSize = 190;

// Resident bytes of the mappings that may be executed and belong to no file: generated code. The generator reserves far
// more than it uses.
std::int64_t GeneratedCodeBytes() {
  std::ifstream maps("/proc/self/smaps");
  std::int64_t resident_kibibytes = 0;
  bool generated = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string first, second, offset, device, inode;
    words >> first >> second >> offset >> device >> inode;
    if (first == "Rss:" && generated) resident_kibibytes += std::stoll(second);
    if (first.find('-') != std::string::npos) generated = second.find('x') != std::string::npos && inode == "0";
  }
  return resident_kibibytes * 1024;
}

std::int64_t HeldBytes() { return test::AllocatedBytes() + GeneratedCodeBytes(); }

// 40 × 25 × 10 pairs of sizes: each shape comes once.
ProblemDescription Shape(std::int64_t n) {
  const std::int64_t query_rows = 1 + n % kMostQueryRows;
  const std::int64_t keys = 1 + 22 * (n / kMostQueryRows % 25);
  const std::int64_t head_size = 1 + 19 * (n / 1000);
  const std::int64_t value_head_size = 1 + 7 * n % kMostHeadSize;
  const auto size_bytes = [](std::int64_t rows, std::int64_t columns) { return rows * columns * 4; };
  return {.query = {ElementType::kFloat32, {query_rows, head_size}},
          .key = {ElementType::kFloat32, {keys, head_size}},
          .value = {ElementType::kFloat32, {keys, value_head_size}},
          .size_bytes = {
              {size_bytes(query_rows, head_size), size_bytes(keys, head_size), size_bytes(keys, value_head_size)}}};
}

TEST(ManyShapesTest, HoldMemory) {
  constexpr int kShapes = 10'000;
  constexpr std::int64_t kMebibyte = 1 << 20;
  const std::vector<float> elements(kMostKeys * kMostHeadSize, 0.5F);
  std::vector<float> output(kMostQueryRows * kMostHeadSize);
  Engine engine({.worker_count = 1});
  const std::int64_t begin = HeldBytes();
  std::int64_t middle = 0;
  for (int n = 0; n < kShapes; ++n) {
    const absl::StatusOr<Problem> problem = CheckProblem(Shape(n), {});
    ASSERT_TRUE(problem.ok()) << problem.status();
    const Tensors tensors = {
        .query = elements.data(), .key = elements.data(), .value = elements.data(), .output = output.data()};
    const absl::StatusOr<Report> report = engine.Run(*problem, tensors);
    ASSERT_TRUE(report.ok()) << report.status();
    if (n == kShapes / 2) middle = HeldBytes();
  }
  const std::int64_t end = HeldBytes();
  std::printf("allocated: %lld KiB before, %lld KiB half way, %lld KiB at the end\n",
              static_cast<long long>(begin / 1024), static_cast<long long>(middle / 1024),
              static_cast<long long>(end / 1024));
  EXPECT_LT(end - begin, 24 * kMebibyte);
  EXPECT_LT(end - middle, 8 * kMebibyte);
}

}  // namespace
}  // namespace attnd::core

// What the report of a whole says of its pieces. (cut_result_test.cpp has the results themselves.)
#include "client/cpp/assembly.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "client/cpp/cuts.h"

namespace attnd {
namespace {

Tensor MakeTensor(Shape shape, ElementType type = ElementType::kFloat32) {
  return Tensor::Create(type, std::move(shape), "").value();
}

class AssemblyTest : public ::testing::Test {
 protected:
  AssemblyTest() {
    const TensorView view{ElementType::kFloat32, {4, 10, 2}, elements_.data()};
    request_ = {.query = view, .key = view, .value = view, .return_weights = true};
    sizes_ = SizesOf(request_).value();
    piece_ = WholeProblem(sizes_);
    piece_.batch = {1, 3};
  }

  AttendResult Part() {
    AttendResult part;
    part.output = MakeTensor({2, 10, 2});
    part.weights = MakeTensor({2, 10, 10});
    return part;
  }

  std::vector<float> elements_ = std::vector<float>(80);
  AttendRequest request_;
  ProblemSizes sizes_;
  Piece piece_;
};

TEST_F(AssemblyTest, TheReportSaysWhatWasDoneForAllPieces) {
  Assembly assembly = Assembly::Create(request_, sizes_).value();
  AttendResult part = Part();
  part.report = {.kernel = "fast",
                 .query_tile_rows = 64,
                 .key_tile_keys = 256,
                 .computed_tiles = 3,
                 .skipped_tiles = 1,
                 .floating_point_operations = 100,
                 .empty_rows = 2,
                 .compute_seconds = 0.5};
  for (const char* kernel : {"fast", "slow", "fast"}) {
    part.report.kernel = kernel;
    part.report.fingerprint = std::string("attnd 1.2.3 ") + kernel;
    ASSERT_TRUE(assembly.Add(piece_, part).ok());
  }
  const Report report = assembly.Take().report;
  EXPECT_EQ(report.kernel, "fast, slow");
  EXPECT_EQ(report.fingerprint, "attnd 1.2.3 fast, attnd 1.2.3 slow");
  EXPECT_EQ(report.query_tile_rows, 64);
  EXPECT_EQ(report.key_tile_keys, 256);
  EXPECT_EQ(report.computed_tiles, 9);
  EXPECT_EQ(report.skipped_tiles, 3);
  EXPECT_EQ(report.floating_point_operations, 300);
  EXPECT_EQ(report.empty_rows, 6);
  EXPECT_EQ(report.compute_seconds, 1.5);
}

}  // namespace
}  // namespace attnd

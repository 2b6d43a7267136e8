#include "client/cli/attend_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace attnd::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

AttendResult Result() {
  AttendResult result;
  result.output = *Tensor::Create(ElementType::kBfloat16, {2, 3}, "output");
  result.report = {.kernel = "brgemm-bfloat16",
                   .query_tile_rows = 64,
                   .key_tile_keys = 256,
                   .computed_tiles = 5,
                   .skipped_tiles = 6,
                   .floating_point_operations = 1e6,
                   .empty_rows = 7,
                   .decode_seconds = 0.001,
                   .queue_seconds = 0.002,
                   .compute_seconds = 0.003,
                   .encode_seconds = 0.004,
                   .fingerprint = "attnd 1.2.3 brgemm-bfloat16",
                   .summary_tiles = 8};
  return result;
}

Tensor Floats(const Shape& shape, const std::vector<float>& elements) {
  Tensor tensor = *Tensor::Create(ElementType::kFloat32, shape, "");
  std::ranges::copy(elements, reinterpret_cast<float*>(tensor.data()));
  return tensor;
}

TEST(Errors, AreWithinToleranceWhereAllAre) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(Errors{}.within(0));
  EXPECT_FALSE(Errors{}.any());
  const Errors small{.by_name = {{"output", 1e-6}, {"weights", 0}}};
  EXPECT_TRUE(small.any());
  EXPECT_TRUE(small.within(1e-6));
  EXPECT_EQ(small.of("output"), 1e-6);
  EXPECT_EQ(small.of("log_sum_exp"), std::nullopt);
  EXPECT_FALSE((Errors{.by_name = {{"output", 2e-6}, {"weights", 0}}}).within(1e-6));
  EXPECT_FALSE((Errors{.by_name = {{"output", 0}, {"entropy", 2e-6}}}).within(1e-6));
  EXPECT_FALSE((Errors{.by_name = {{"output", kInfinity}}}).within(1e300));
}

TEST(AttendReport, JsonHasNullForWhatWasNotAskedFor) {
  const auto json = nlohmann::json::parse(AttendReportAsJson(Result(), {}, 5e-6, 0.25));
  EXPECT_EQ(json["output_shape"], nlohmann::json({2, 3}));
  EXPECT_EQ(json["output_element_type"], "bfloat16");
  for (const char* name : {"weights_shape", "log_sum_exp_shape", "output_max_abs_error", "weights_max_abs_error",
                           "log_sum_exp_max_abs_error", "within_tolerance"}) {
    EXPECT_TRUE(json.at(name).is_null()) << name;
  }
  EXPECT_EQ(json["latency_seconds"], 0.25);
  EXPECT_EQ(json["report"]["kernel"], "brgemm-bfloat16");
  EXPECT_EQ(json["report"]["empty_rows"], 7);
  EXPECT_EQ(json["report"]["encode_seconds"], 0.004);
  EXPECT_EQ(json["report"]["fingerprint"], "attnd 1.2.3 brgemm-bfloat16");
  EXPECT_EQ(json["report"]["summary_tiles"], 8);
  EXPECT_EQ(json["summaries"], nlohmann::json::object());
}

// Of what is finite: the rest is as where all is.
TEST(AttendReport, JsonHasADigestOfEachSummary) {
  AttendResult result = Result();
  result.entropy = Floats({4}, {0.5, -std::numeric_limits<float>::infinity(), 2, 0.5});
  const auto json = nlohmann::json::parse(AttendReportAsJson(result, {.by_name = {{"entropy", 0.25}}}, 1, 0.25));
  EXPECT_EQ(json["summaries"], (nlohmann::json{{"entropy",
                                                {{"element_type", "float32"},
                                                 {"shape", {4}},
                                                 {"smallest", 0.5},
                                                 {"largest", 2.0},
                                                 {"mean", 1.0},
                                                 {"max_abs_error", 0.25}}}}));
}

TEST(AttendReport, TextHasADigestOfEachSummary) {
  AttendResult result = Result();
  result.first_keys_weight = Floats({2, 1}, {0.25, 0.75});
  result.top_keys = *Tensor::Create(ElementType::kInt32, {2}, "");
  reinterpret_cast<std::int32_t*>(result.top_keys->data())[0] = -1;
  reinterpret_cast<std::int32_t*>(result.top_keys->data())[1] = 7;
  const std::string text = AttendReportAsText(result, {.by_name = {{"first_keys_weight", 1e-7}}}, 5e-6, 0.25);
  EXPECT_THAT(text,
              HasSubstr("first-keys-weight  float32 [2, 1]  0.25 to 0.75, mean 0.5   largest error 1e-07 (ok)\n"));
  EXPECT_THAT(text, HasSubstr("top-keys           int32 [2]  -1 to 7\n"));
  EXPECT_THAT(text, HasSubstr("summaries    8 tiles computed again\n"));
  EXPECT_THAT(text, HasSubstr("fingerprint  attnd 1.2.3 brgemm-bfloat16\n"));
}

TEST(AttendReport, JsonTellsOfTheComparison) {
  AttendResult result = Result();
  result.weights = *Tensor::Create(ElementType::kFloat32, {2, 2}, "weights");
  const Errors errors{.by_name = {{"output", std::numeric_limits<double>::infinity()}, {"weights", 1e-7}}};
  const auto json = nlohmann::json::parse(AttendReportAsJson(result, errors, 5e-6, 0.25));
  EXPECT_EQ(json["output_max_abs_error"], "Infinity");
  EXPECT_EQ(json["weights_max_abs_error"], 1e-7);
  EXPECT_EQ(json["weights_shape"], nlohmann::json({2, 2}));
  EXPECT_EQ(json["within_tolerance"], false);
  EXPECT_EQ(json["tolerance"], 5e-6);
}

TEST(AttendReport, TextSaysWhatIsOutOfTolerance) {
  AttendResult result = Result();
  result.weights = *Tensor::Create(ElementType::kFloat32, {2, 2}, "weights");
  const std::string text = AttendReportAsText(result, {.by_name = {{"output", 1e-7}, {"weights", 1e-3}}}, 5e-6, 0.25);
  EXPECT_THAT(text, HasSubstr("output       bfloat16 [2, 3]   largest error 1e-07 (ok)\n"));
  EXPECT_THAT(text, HasSubstr("weights      float32 [2, 2]   largest error 0.001 (OUT OF TOLERANCE)\n"));
  EXPECT_THAT(text, HasSubstr("empty rows   7"));
  EXPECT_THAT(text, HasSubstr("250.000 ms"));
}

TEST(AttendReport, TextIsSilentAboutWhatWasNotAskedFor) {
  AttendResult result = Result();
  result.report.empty_rows = 0;
  result.report.summary_tiles = 0;
  result.report.fingerprint.clear();
  const std::string text = AttendReportAsText(result, {}, 5e-6, 0.25);
  for (const char* word : {"weights", "log-sum-exp", "error", "tolerance", "empty", "summaries", "fingerprint"}) {
    EXPECT_THAT(text, Not(HasSubstr(word)));
  }
}

TEST(AttendReport, WhatTheServerCallsItsKernelCannotSteerTheTerminal) {
  AttendResult result = Result();
  result.report.kernel = "\x1b[2J\xff";
  result.report.fingerprint = "\x1b[2J\xff";
  EXPECT_THAT(AttendReportAsText(result, {}, 5e-6, 0.25), Not(HasSubstr("\x1b")));
  EXPECT_TRUE(nlohmann::json::accept(AttendReportAsJson(result, {}, 5e-6, 0.25)));
}

}  // namespace
}  // namespace attnd::cli

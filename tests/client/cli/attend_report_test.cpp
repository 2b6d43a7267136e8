#include "client/cli/attend_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>

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
                   .encode_seconds = 0.004};
  return result;
}

TEST(Errors, AreWithinToleranceWhereAllAre) {
  EXPECT_TRUE(Errors{}.within(0));
  EXPECT_FALSE(Errors{}.any());
  EXPECT_TRUE((Errors{.output = 1e-6, .weights = 0, .log_sum_exp = {}}).within(1e-6));
  EXPECT_FALSE((Errors{.output = 2e-6, .weights = 0, .log_sum_exp = {}}).within(1e-6));
  EXPECT_FALSE((Errors{.output = 0, .weights = 2e-6, .log_sum_exp = {}}).within(1e-6));
  EXPECT_FALSE((Errors{.output = 0, .weights = {}, .log_sum_exp = 2e-6}).within(1e-6));
  EXPECT_FALSE(
      (Errors{.output = std::numeric_limits<double>::infinity(), .weights = {}, .log_sum_exp = {}}).within(1e300));
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
}

TEST(AttendReport, JsonTellsOfTheComparison) {
  AttendResult result = Result();
  result.weights = *Tensor::Create(ElementType::kFloat32, {2, 2}, "weights");
  const Errors errors{.output = std::numeric_limits<double>::infinity(), .weights = 1e-7, .log_sum_exp = {}};
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
  const std::string text = AttendReportAsText(result, {.output = 1e-7, .weights = 1e-3, .log_sum_exp = {}}, 5e-6, 0.25);
  EXPECT_THAT(text, HasSubstr("output       bfloat16 [2, 3]   largest error 1e-07 (ok)\n"));
  EXPECT_THAT(text, HasSubstr("weights      float32 [2, 2]   largest error 0.001 (OUT OF TOLERANCE)\n"));
  EXPECT_THAT(text, HasSubstr("empty rows   7"));
  EXPECT_THAT(text, HasSubstr("250.000 ms"));
}

TEST(AttendReport, TextIsSilentAboutWhatWasNotAskedFor) {
  AttendResult result = Result();
  result.report.empty_rows = 0;
  const std::string text = AttendReportAsText(result, {}, 5e-6, 0.25);
  for (const char* word : {"weights", "log-sum-exp", "error", "tolerance", "empty"}) {
    EXPECT_THAT(text, Not(HasSubstr(word)));
  }
}

TEST(AttendReport, WhatTheServerCallsItsKernelCannotSteerTheTerminal) {
  AttendResult result = Result();
  result.report.kernel = "\x1b[2J\xff";
  EXPECT_THAT(AttendReportAsText(result, {}, 5e-6, 0.25), Not(HasSubstr("\x1b")));
  EXPECT_TRUE(nlohmann::json::accept(AttendReportAsJson(result, {}, 5e-6, 0.25)));
}

}  // namespace
}  // namespace attnd::cli

#include "client/cli/attend_report.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "client/cli/text.h"

namespace attnd::cli {
namespace {

using Json = nlohmann::ordered_json;

Json AsJson(const std::optional<double>& error) {
  if (!error) return nullptr;
  if (!std::isfinite(*error)) return "Infinity";
  return *error;
}

Json AsJson(const Report& report) {
  return {{"kernel", report.kernel},
          {"query_tile_rows", report.query_tile_rows},
          {"key_tile_keys", report.key_tile_keys},
          {"computed_tiles", report.computed_tiles},
          {"skipped_tiles", report.skipped_tiles},
          {"floating_point_operations", report.floating_point_operations},
          {"empty_rows", report.empty_rows},
          {"decode_seconds", report.decode_seconds},
          {"queue_seconds", report.queue_seconds},
          {"compute_seconds", report.compute_seconds},
          {"encode_seconds", report.encode_seconds}};
}

Json ShapeAsJson(const std::optional<Tensor>& tensor) {
  if (!tensor) return nullptr;
  return tensor->shape();
}

void AppendTensor(std::string& text, const char* name, const Tensor& tensor, const std::optional<double>& error,
                  double tolerance) {
  absl::StrAppendFormat(&text, "%-12s %s %s", name, ElementTypeName(tensor.element_type()), ToString(tensor.shape()));
  if (error) {
    absl::StrAppendFormat(&text, "   largest error %.3g %s", *error,
                          *error <= tolerance ? "(ok)" : "(OUT OF TOLERANCE)");
  }
  text += '\n';
}

}  // namespace

std::string AttendReportAsJson(const AttendResult& result, const Errors& errors, double tolerance,
                               double latency_seconds) {
  Json json = {{"output_shape", result.output.shape()},
               {"output_element_type", std::string(ElementTypeName(result.output.element_type()))},
               {"weights_shape", ShapeAsJson(result.weights)},
               {"log_sum_exp_shape", ShapeAsJson(result.log_sum_exp)},
               {"output_max_abs_error", AsJson(errors.output)},
               {"weights_max_abs_error", AsJson(errors.weights)},
               {"log_sum_exp_max_abs_error", AsJson(errors.log_sum_exp)},
               {"tolerance", tolerance},
               {"within_tolerance", errors.any() ? Json(errors.within(tolerance)) : Json(nullptr)},
               {"latency_seconds", latency_seconds},
               {"report", AsJson(result.report)}};
  return absl::StrCat(json.dump(2, ' ', false, Json::error_handler_t::replace), "\n");
}

std::string AttendReportAsText(const AttendResult& result, const Errors& errors, double tolerance,
                               double latency_seconds) {
  std::string text;
  AppendTensor(text, "output", result.output, errors.output, tolerance);
  if (result.weights) AppendTensor(text, "weights", *result.weights, errors.weights, tolerance);
  if (result.log_sum_exp) AppendTensor(text, "log-sum-exp", *result.log_sum_exp, errors.log_sum_exp, tolerance);
  if (errors.any()) absl::StrAppendFormat(&text, "%-12s %.3g\n", "tolerance", tolerance);

  const Report& report = result.report;
  absl::StrAppendFormat(&text, "%-12s %s, tiles of %d queries x %d keys\n", "kernel", Printable(report.kernel),
                        report.query_tile_rows, report.key_tile_keys);
  absl::StrAppendFormat(&text, "%-12s %d tiles computed, %d skipped, %.3g floating-point operations\n", "work",
                        report.computed_tiles, report.skipped_tiles, report.floating_point_operations);
  if (report.empty_rows > 0)
    absl::StrAppendFormat(&text, "%-12s %d, which see no key\n", "empty rows", report.empty_rows);
  absl::StrAppendFormat(&text, "%-12s %.3f ms\n", "latency", latency_seconds * 1e3);
  absl::StrAppendFormat(&text, "%-12s decode %.3f ms, queue %.3f ms, compute %.3f ms, encode %.3f ms\n", "in server",
                        report.decode_seconds * 1e3, report.queue_seconds * 1e3, report.compute_seconds * 1e3,
                        report.encode_seconds * 1e3);
  return text;
}

}  // namespace attnd::cli

#include "client/cli/attend_report.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_replace.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "client/cli/digest.h"
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
          {"encode_seconds", report.encode_seconds},
          {"fingerprint", report.fingerprint},
          {"summary_tiles", report.summary_tiles}};
}

Json ShapeAsJson(const std::optional<Tensor>& tensor) {
  if (!tensor) return nullptr;
  return tensor->shape();
}

// The tensors that summaries asked for.
std::vector<NamedTensor> SummariesOf(const AttendResult& result) {
  std::vector<NamedTensor> summaries = TensorsOf(result);
  std::erase_if(summaries, [](const NamedTensor& named) {
    return named.name == "output" || named.name == "weights" || named.name == "log_sum_exp";
  });
  return summaries;
}

Json SummariesAsJson(const AttendResult& result, const Errors& errors) {
  Json json = Json::object();
  for (const auto& [name, tensor] : SummariesOf(result)) {
    const Digest digest = DigestOf(*tensor);
    json[std::string(name)] = {{"element_type", std::string(ElementTypeName(tensor->element_type()))},
                               {"shape", tensor->shape()},
                               {"smallest", digest.smallest},
                               {"largest", digest.largest},
                               {"mean", digest.mean},
                               {"max_abs_error", AsJson(errors.of(name))}};
  }
  return json;
}

void AppendError(std::string& text, const std::optional<double>& error, double tolerance) {
  if (error) {
    absl::StrAppendFormat(&text, "   largest error %.3g %s", *error,
                          *error <= tolerance ? "(ok)" : "(OUT OF TOLERANCE)");
  }
  text += '\n';
}

void AppendTensor(std::string& text, const char* name, const Tensor& tensor, const std::optional<double>& error,
                  double tolerance) {
  absl::StrAppendFormat(&text, "%-12s %s %s", name, ElementTypeName(tensor.element_type()), ToString(tensor.shape()));
  AppendError(text, error, tolerance);
}

// "entropy            float32 [2, 3]  0.1 to 1.4, mean 0.8".
void AppendSummary(std::string& text, const NamedTensor& summary, const std::optional<double>& error,
                   double tolerance) {
  const Tensor& tensor = *summary.tensor;
  const Digest digest = DigestOf(tensor);
  absl::StrAppendFormat(&text, "%-17s  %s %s  %.4g to %.4g", absl::StrReplaceAll(summary.name, {{"_", "-"}}),
                        ElementTypeName(tensor.element_type()), ToString(tensor.shape()), digest.smallest,
                        digest.largest);
  // A mean number of keys' indices says nothing.
  if (tensor.element_type() != ElementType::kInt32) absl::StrAppendFormat(&text, ", mean %.4g", digest.mean);
  AppendError(text, error, tolerance);
}

void AppendReport(std::string& text, const Report& report) {
  absl::StrAppendFormat(&text, "%-12s %s, tiles of %d queries x %d keys\n", "kernel", Printable(report.kernel),
                        report.query_tile_rows, report.key_tile_keys);
  absl::StrAppendFormat(&text, "%-12s %d tiles computed, %d skipped, %.3g floating-point operations\n", "work",
                        report.computed_tiles, report.skipped_tiles, report.floating_point_operations);
  if (report.summary_tiles > 0) {
    absl::StrAppendFormat(&text, "%-12s %d tiles computed again\n", "summaries", report.summary_tiles);
  }
  if (report.empty_rows > 0) {
    absl::StrAppendFormat(&text, "%-12s %d, which see no key\n", "empty rows", report.empty_rows);
  }
  if (!report.fingerprint.empty()) {
    absl::StrAppendFormat(&text, "%-12s %s\n", "fingerprint", Printable(report.fingerprint));
  }
}

}  // namespace

std::optional<double> Errors::of(absl::string_view name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? std::nullopt : std::optional(found->second);
}

bool Errors::within(double tolerance) const {
  return std::ranges::all_of(by_name, [&](const auto& error) { return error.second <= tolerance; });
}

std::string AttendReportAsJson(const AttendResult& result, const Errors& errors, double tolerance,
                               double latency_seconds) {
  Json json = {{"output_shape", result.output.shape()},
               {"output_element_type", std::string(ElementTypeName(result.output.element_type()))},
               {"weights_shape", ShapeAsJson(result.weights)},
               {"log_sum_exp_shape", ShapeAsJson(result.log_sum_exp)},
               {"output_max_abs_error", AsJson(errors.of("output"))},
               {"weights_max_abs_error", AsJson(errors.of("weights"))},
               {"log_sum_exp_max_abs_error", AsJson(errors.of("log_sum_exp"))},
               {"summaries", SummariesAsJson(result, errors)},
               {"tolerance", tolerance},
               {"within_tolerance", errors.any() ? Json(errors.within(tolerance)) : Json(nullptr)},
               {"latency_seconds", latency_seconds},
               {"report", AsJson(result.report)}};
  return absl::StrCat(json.dump(2, ' ', false, Json::error_handler_t::replace), "\n");
}

std::string AttendReportAsText(const AttendResult& result, const Errors& errors, double tolerance,
                               double latency_seconds) {
  std::string text;
  AppendTensor(text, "output", result.output, errors.of("output"), tolerance);
  if (result.weights) AppendTensor(text, "weights", *result.weights, errors.of("weights"), tolerance);
  if (result.log_sum_exp) {
    AppendTensor(text, "log-sum-exp", *result.log_sum_exp, errors.of("log_sum_exp"), tolerance);
  }
  for (const NamedTensor& summary : SummariesOf(result)) {
    AppendSummary(text, summary, errors.of(summary.name), tolerance);
  }
  if (errors.any()) absl::StrAppendFormat(&text, "%-12s %.3g\n", "tolerance", tolerance);

  const Report& report = result.report;
  AppendReport(text, report);
  absl::StrAppendFormat(&text, "%-12s %.3f ms\n", "latency", latency_seconds * 1e3);
  absl::StrAppendFormat(&text, "%-12s decode %.3f ms, queue %.3f ms, compute %.3f ms, encode %.3f ms\n", "in server",
                        report.decode_seconds * 1e3, report.queue_seconds * 1e3, report.compute_seconds * 1e3,
                        report.encode_seconds * 1e3);
  return text;
}

}  // namespace attnd::cli

// What `attnctl attend` prints.
#pragma once

#include <optional>
#include <string>

#include "client/cpp/client.h"

namespace attnd::cli {

// The largest absolute error of each tensor that was compared; infinite where shapes, NaNs or infinities differ.
struct Errors {
  std::optional<double> output;
  std::optional<double> weights;
  std::optional<double> log_sum_exp;

  // Without a comparison there is nothing that could be out of tolerance.
  bool any() const { return output || weights || log_sum_exp; }
  bool within(double tolerance) const {
    return output.value_or(0) <= tolerance && weights.value_or(0) <= tolerance && log_sum_exp.value_or(0) <= tolerance;
  }
};

// One JSON object and a line break. An infinite error is the string "Infinity", since JSON has no such number.
std::string AttendReportAsJson(const AttendResult& result, const Errors& errors, double tolerance,
                               double latency_seconds);

std::string AttendReportAsText(const AttendResult& result, const Errors& errors, double tolerance,
                               double latency_seconds);

}  // namespace attnd::cli

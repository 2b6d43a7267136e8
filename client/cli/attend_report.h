// What `attnctl attend` prints.
#pragma once

#include <absl/strings/string_view.h>

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "client/cpp/client.h"

namespace attnd::cli {

struct Errors {
  // The largest absolute error of each tensor that was compared; infinite where shapes, NaNs or infinities differ.
  std::map<std::string, double, std::less<>> by_name = {};

  std::optional<double> of(absl::string_view name) const;
  // Without a comparison there is nothing that could be out of tolerance.
  bool any() const { return !by_name.empty(); }
  bool within(double tolerance) const;
};

// One JSON object and a line break. An infinite error is the string "Infinity", since JSON has no such number.
std::string AttendReportAsJson(const AttendResult& result, const Errors& errors, double tolerance,
                               double latency_seconds);

std::string AttendReportAsText(const AttendResult& result, const Errors& errors, double tolerance,
                               double latency_seconds);

}  // namespace attnd::cli

// What an answer is to be compared with.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <map>
#include <string>

#include "client/cli/array.h"
#include "client/cli/attend.h"
#include "client/cli/attend_report.h"
#include "client/cli/inputs.h"
#include "client/cpp/client.h"

namespace attnd::cli {

// By the names of a result's tensors.
using Expectation = std::map<std::string, Array, std::less<>>;

// Takes the tensors that --expect-… name; without such, all that --expect's file has of those that `attend --output`
// writes. A file is opened as `file`, which must live as long as the expectation. An error has the option, file or
// tensor in its text.
absl::StatusOr<Expectation> LoadExpectation(const AttendOptions& options, Inputs& inputs, Inputs& file);

// INVALID_ARGUMENT where a tensor is expected that the result does not have.
absl::StatusOr<Errors> Compare(const AttendResult& result, const Expectation& expectation);

}  // namespace attnd::cli

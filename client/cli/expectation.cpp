#include "client/cli/expectation.h"

#include <absl/strings/str_cat.h>

#include <optional>
#include <utility>
#include <vector>

#include "client/cli/comparison.h"

namespace attnd::cli {
namespace {

bool NamesTensors(const AttendOptions& options) {
  return options.expect_output || options.expect_weights || options.expect_log_sum_exp;
}

// Where there is no tensor of a name that is an error.
absl::StatusOr<Expectation> NamedTensors(Inputs& inputs, const AttendOptions& options) {
  Expectation expectation;
  for (const auto& [name, tensor] :
       {std::pair("output", &options.expect_output), std::pair("weights", &options.expect_weights),
        std::pair("log_sum_exp", &options.expect_log_sum_exp)}) {
    if (!*tensor) continue;
    auto found = inputs.Get(**tensor);
    if (!found.ok()) return found.status();
    expectation.emplace(name, *std::move(found));
  }
  return expectation;
}

// What `attend --output` writes.
absl::StatusOr<Expectation> WholeFile(Inputs& inputs, const std::string& path) {
  Expectation expectation;
  if (IsNpy(path)) {
    auto output = inputs.Get(path);
    if (!output.ok()) return output.status();
    expectation.emplace("output", *std::move(output));
    return expectation;
  }
  for (const auto name : ResultTensorNames()) {
    const auto found = inputs.tensors().find(std::string(name));
    if (found != inputs.tensors().end()) expectation.emplace(name, found->second);
  }
  if (expectation.empty()) {
    return absl::NotFoundError(
        absl::StrCat(path, ": has no tensor that an answer may have, such as output, weights and log_sum_exp"));
  }
  return expectation;
}

}  // namespace

absl::StatusOr<Expectation> LoadExpectation(const AttendOptions& options, Inputs& inputs, Inputs& file) {
  if (!options.expect) return NamedTensors(inputs, options);
  if (!IsNpy(*options.expect)) {
    auto opened = Inputs::Open(*options.expect);
    if (!opened.ok()) return opened.status();
    file = *std::move(opened);
  } else if (NamesTensors(options)) {
    return absl::InvalidArgumentError(absl::StrCat("--expect: ", *options.expect,
                                                   " has no names, expected a safetensors file beside --expect-output, "
                                                   "--expect-weights and --expect-log-sum-exp"));
  }
  return NamesTensors(options) ? NamedTensors(file, options) : WholeFile(file, *options.expect);
}

absl::StatusOr<Errors> Compare(const AttendResult& result, const Expectation& expectation) {
  std::map<absl::string_view, const Tensor*> tensors;
  for (const NamedTensor& named : TensorsOf(result)) tensors.emplace(named.name, named.tensor);
  Errors errors;
  for (const auto& [name, expected] : expectation) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      return absl::InvalidArgumentError(absl::StrCat("--expect: the file has ", name, ", which was not asked for"));
    }
    errors.by_name.emplace(name, LargestDifference(ToArray(*found->second), expected));
  }
  return errors;
}

}  // namespace attnd::cli

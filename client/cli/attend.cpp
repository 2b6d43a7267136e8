#include "client/cli/attend.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "client/cli/attend_report.h"
#include "client/cli/comparison.h"
#include "client/cli/exit_code.h"
#include "client/cli/failure.h"
#include "client/cli/inputs.h"
#include "client/cli/npy.h"
#include "client/cli/safetensors.h"

namespace attnd::cli {
namespace {

absl::StatusOr<TensorView> View(Inputs& inputs, const std::string& name) {
  const auto array = inputs.Get(name);
  if (!array.ok()) return array.status();
  return ToTensorView(*array, name);
}

// "15,9,12", or the name of a tensor.
absl::StatusOr<std::vector<std::int64_t>> KeyLengths(Inputs& inputs, const std::string& text) {
  if (text.find_first_not_of("0123456789, ") != std::string::npos) {
    const auto array = inputs.Get(text);
    if (!array.ok()) return array.status();
    return ToIntegers(*array, text);
  }
  std::vector<std::int64_t> lengths;
  for (const auto part : absl::StrSplit(text, ',')) {
    std::int64_t length = 0;
    if (!absl::SimpleAtoi(part, &length)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--key-lengths: \"", part, "\" is no length, expected a list like 15,9,12 or a tensor"));
    }
    lengths.push_back(length);
  }
  return lengths;
}

absl::StatusOr<TensorView> BooleanMask(Inputs& inputs, const std::string& name) {
  auto view = View(inputs, name);
  if (view.ok() && view->element_type != ElementType::kBool) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--mask: ", name, " is ", std::string(ElementTypeName(view->element_type)), ", expected bool or uint8"));
  }
  return view;
}

// What can be said without a file or a server.
absl::Status CheckOptions(const AttendOptions& options) {
  if (options.output && IsNpy(*options.output) && (options.weights || options.log_sum_exp)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--output: ", *options.output,
                     " can hold the output alone, expected another name, for a safetensors file, with --weights or "
                     "--log-sum-exp"));
  }
  const bool named = options.expect_output || options.expect_weights || options.expect_log_sum_exp;
  if (named && options.expect && IsNpy(*options.expect)) {
    return absl::InvalidArgumentError(absl::StrCat("--expect: ", *options.expect,
                                                   " has no names, expected a safetensors file beside --expect-output, "
                                                   "--expect-weights and --expect-log-sum-exp"));
  }
  return absl::OkStatus();
}

CausalAlignment Alignment(const std::string& name) {
  if (name == "top-left") return CausalAlignment::kTopLeft;
  if (name == "bottom-right") return CausalAlignment::kBottomRight;
  return CausalAlignment::kUnspecified;
}

absl::StatusOr<AttendRequest> MakeRequest(Inputs& inputs, const AttendOptions& options) {
  const auto query = View(inputs, options.query);
  if (!query.ok()) return query.status();
  const auto key = View(inputs, options.key);
  if (!key.ok()) return key.status();
  const auto value = View(inputs, options.value);
  if (!value.ok()) return value.status();
  AttendRequest request{.query = *query, .key = *key, .value = *value};

  if (options.layout == "bshd") request.layout = Layout::kBshd;
  request.scale = options.scale;
  if (options.causal) request.mask.causal = Alignment(*options.causal);
  if (options.key_lengths) {
    auto lengths = KeyLengths(inputs, *options.key_lengths);
    if (!lengths.ok()) return lengths.status();
    request.mask.key_lengths = *std::move(lengths);
  }
  if (options.mask) {
    auto mask = BooleanMask(inputs, *options.mask);
    if (!mask.ok()) return mask.status();
    request.mask.boolean = *std::move(mask);
  }
  if (options.empty_row == "mean-of-all-values") request.empty_row = EmptyRow::kMeanOfAllValues;
  return request;
}

// What an answer is to be compared with.
struct Expected {
  std::optional<Array> output;
  std::optional<Array> weights;
  std::optional<Array> log_sum_exp;
};

// Takes the tensors that --expect-… name from `inputs`; where there is none of that name that is an error.
absl::StatusOr<Expected> NamedExpectation(Inputs& inputs, const AttendOptions& options) {
  Expected expected;
  for (const auto& [name, array] :
       {std::pair(&options.expect_output, &expected.output), std::pair(&options.expect_weights, &expected.weights),
        std::pair(&options.expect_log_sum_exp, &expected.log_sum_exp)}) {
    if (!*name) continue;
    auto found = inputs.Get(**name);
    if (!found.ok()) return found.status();
    *array = *std::move(found);
  }
  return expected;
}

// Without names: what `attend --output` writes.
absl::StatusOr<Expected> WholeFileExpectation(Inputs& inputs, const std::string& path) {
  Expected expected;
  if (IsNpy(path)) {
    auto output = inputs.Get(path);
    if (!output.ok()) return output.status();
    expected.output = *std::move(output);
    return expected;
  }
  for (const auto& [name, array] : {std::pair("output", &expected.output), std::pair("weights", &expected.weights),
                                    std::pair("log_sum_exp", &expected.log_sum_exp)}) {
    const auto found = inputs.tensors().find(name);
    if (found != inputs.tensors().end()) *array = found->second;
  }
  if (!expected.output && !expected.weights && !expected.log_sum_exp) {
    return absl::NotFoundError(absl::StrCat(path, ": has none of the tensors output, weights and log_sum_exp"));
  }
  return expected;
}

// Where --expect names a file it is opened as `expectation`.
absl::StatusOr<Expected> LoadExpected(Inputs& inputs, Inputs& expectation, const AttendOptions& options) {
  const bool named = options.expect_output || options.expect_weights || options.expect_log_sum_exp;
  if (!options.expect) return NamedExpectation(inputs, options);
  if (!IsNpy(*options.expect)) {
    auto opened = Inputs::Open(*options.expect);
    if (!opened.ok()) return opened.status();
    expectation = *std::move(opened);
  }
  return named ? NamedExpectation(expectation, options) : WholeFileExpectation(expectation, *options.expect);
}

std::optional<double> Compare(const std::optional<Array>& expected, const Tensor* tensor) {
  if (!expected) return std::nullopt;
  return LargestDifference(tensor == nullptr ? Array{} : ToArray(*tensor), *expected);
}

absl::Status WriteOutput(const std::string& path, const AttendResult& result, const Inputs& inputs) {
  if (IsNpy(path)) return WriteNpy(path, ToArray(result.output));
  Safetensors content{.tensors = {{"output", ToArray(result.output)}}, .metadata = inputs.metadata()};
  if (result.weights) content.tensors["weights"] = ToArray(*result.weights);
  if (result.log_sum_exp) content.tensors["log_sum_exp"] = ToArray(*result.log_sum_exp);
  return WriteSafetensors(path, content);
}

}  // namespace

int RunAttend(const AttendOptions& options) {
  if (const absl::Status status = CheckOptions(options); !status.ok()) return FailInput(status);
  auto inputs = Inputs::Open(options.input);
  if (!inputs.ok()) return FailInput(inputs.status());
  auto request = MakeRequest(*inputs, options);
  if (!request.ok()) return FailInput(request.status());
  Inputs expectation;
  const auto expected = LoadExpected(*inputs, expectation, options);
  if (!expected.ok()) return FailInput(expected.status());
  request->return_weights = options.weights || expected->weights.has_value();
  request->return_log_sum_exp = options.log_sum_exp || expected->log_sum_exp.has_value();

  Client client(options.server);
  const absl::Time start = absl::Now();
  const auto result = client.Attend(*request, {.deadline = start + absl::Seconds(options.timeout_seconds)});
  const double latency_seconds = absl::ToDoubleSeconds(absl::Now() - start);
  if (!result.ok()) return FailCall(options.server, result.status());

  if (options.output) {
    if (const absl::Status status = WriteOutput(*options.output, *result, *inputs); !status.ok()) {
      return FailInput(status);
    }
  }
  const Errors errors{
      .output = Compare(expected->output, &result->output),
      .weights = Compare(expected->weights, result->weights ? &*result->weights : nullptr),
      .log_sum_exp = Compare(expected->log_sum_exp, result->log_sum_exp ? &*result->log_sum_exp : nullptr)};
  const auto report = options.json ? AttendReportAsJson : AttendReportAsText;
  std::fputs(report(*result, errors, options.tolerance, latency_seconds).c_str(), stdout);
  return errors.within(options.tolerance) ? kOk : kCheckFailed;
}

}  // namespace attnd::cli

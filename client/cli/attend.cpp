#include "client/cli/attend.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <cstdio>
#include <string>

#include "client/cli/attend_report.h"
#include "client/cli/exit_code.h"
#include "client/cli/expectation.h"
#include "client/cli/failure.h"
#include "client/cli/inputs.h"
#include "client/cli/npy.h"
#include "client/cli/safetensors.h"

namespace attnd::cli {
namespace {

// What can be said without a file or a server.
absl::Status CheckOptions(const AttendOptions& options, const AttendRequest& request) {
  const bool has_more = request.return_weights || request.return_log_sum_exp || request.summaries != Summaries{};
  if (options.output && IsNpy(*options.output) && has_more) {
    return absl::InvalidArgumentError(
        absl::StrCat("--output: ", *options.output,
                     " can hold the output alone, expected another name, for a safetensors file, with --weights, "
                     "--log-sum-exp and summaries"));
  }
  return absl::OkStatus();
}

absl::Status WriteOutput(const std::string& path, const AttendResult& result, const Inputs& inputs) {
  if (IsNpy(path)) return WriteNpy(path, ToArray(result.output));
  Safetensors content{.tensors = {}, .metadata = inputs.metadata()};
  for (const NamedTensor& named : TensorsOf(result)) {
    content.tensors.emplace(std::string(named.name), ToArray(*named.tensor));
  }
  return WriteSafetensors(path, content);
}

}  // namespace

int RunAttend(const AttendOptions& options) {
  auto inputs = Inputs::Open(options.input);
  if (!inputs.ok()) return FailInput(inputs.status());
  auto prepared = PrepareRequest(*inputs, options.problem);
  if (!prepared.ok()) return FailInput(prepared.status());
  AttendRequest& request = prepared->request;
  if (const absl::Status status = CheckOptions(options, request); !status.ok()) return FailInput(status);
  Inputs file;
  const auto expectation = LoadExpectation(options, *inputs, file);
  if (!expectation.ok()) return FailInput(expectation.status());
  request.return_weights |= expectation->contains("weights");
  request.return_log_sum_exp |= expectation->contains("log_sum_exp");

  Client client(options.server);
  const absl::Time start = absl::Now();
  const auto result = client.Attend(request, {.deadline = start + absl::Seconds(options.timeout_seconds)});
  const double latency_seconds = absl::ToDoubleSeconds(absl::Now() - start);
  if (!result.ok()) return FailCall(options.server, result.status());

  const auto errors = Compare(*result, *expectation);
  if (!errors.ok()) return FailInput(errors.status());
  if (options.output) {
    if (const absl::Status status = WriteOutput(*options.output, *result, *inputs); !status.ok()) {
      return FailInput(status);
    }
  }
  const auto report = options.json ? AttendReportAsJson : AttendReportAsText;
  std::fputs(report(*result, *errors, options.tolerance, latency_seconds).c_str(), stdout);
  return errors->within(options.tolerance) ? kOk : kCheckFailed;
}

}  // namespace attnd::cli

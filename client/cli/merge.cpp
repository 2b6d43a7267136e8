#include "client/cli/merge.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <cstdio>
#include <list>

#include "client/cli/array.h"
#include "client/cli/exit_code.h"
#include "client/cli/failure.h"
#include "client/cli/inputs.h"
#include "client/cli/safetensors.h"
#include "client/cpp/client.h"

namespace attnd::cli {
namespace {

absl::StatusOr<TensorView> View(Inputs& inputs, const std::string& path, const std::string& name) {
  const auto array = inputs.Get(name);
  if (!array.ok()) return array.status();
  return ToTensorView(*array, absl::StrCat(path, ": ", name));
}

absl::StatusOr<PartialResult> PartOf(Inputs& inputs, const std::string& path) {
  const auto output = View(inputs, path, "output");
  if (!output.ok()) return output.status();
  const auto log_sum_exp = View(inputs, path, "log_sum_exp");
  if (!log_sum_exp.ok()) return log_sum_exp.status();
  return PartialResult{.output = *output, .log_sum_exp = *log_sum_exp};
}

void Print(const char* name, const Tensor& tensor) {
  std::printf("%-12s %s %s\n", name, std::string(ElementTypeName(tensor.element_type())).c_str(),
              ToString(tensor.shape()).c_str());
}

}  // namespace

int RunMerge(const MergeOptions& options) {
  std::list<Inputs> files;
  std::vector<PartialResult> parts;
  for (const std::string& path : options.inputs) {
    auto inputs = Inputs::Open(path);
    if (!inputs.ok()) return FailInput(inputs.status());
    files.push_back(*std::move(inputs));
    const auto part = PartOf(files.back(), path);
    if (!part.ok()) return FailInput(part.status());
    parts.push_back(*part);
  }
  Client client(options.server);
  const auto merged = client.MergePartials(parts, {.deadline = absl::Now() + absl::Seconds(options.timeout_seconds)});
  if (!merged.ok()) return FailCall(options.server, merged.status());
  const Safetensors content{
      .tensors = {{"output", ToArray(merged->output)}, {"log_sum_exp", ToArray(merged->log_sum_exp)}},
      .metadata = files.front().metadata()};
  if (const absl::Status status = WriteSafetensors(options.output, content); !status.ok()) return FailInput(status);
  Print("output", merged->output);
  Print("log-sum-exp", merged->log_sum_exp);
  return kOk;
}

}  // namespace attnd::cli

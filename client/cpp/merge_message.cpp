#include "client/cpp/merge_message.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "client/cpp/problem_message.h"
#include "client/cpp/response_message.h"

namespace attnd {
namespace {

// Beside the tensors, generously.
constexpr std::size_t kSmallFieldsSizeBytes = 4096;

using Member = TensorView PartialResult::*;

absl::Status CheckPart(const std::vector<PartialResult>& parts, std::size_t index, Member member,
                       absl::string_view name) {
  const TensorView& first = parts[0].*member;
  const TensorView& view = parts[index].*member;
  const std::string place = absl::StrCat("parts[", index, "].", name);
  if (view.element_type != first.element_type || view.shape != first.shape) {
    return absl::InvalidArgumentError(absl::StrCat(
        place, ": ", ElementTypeName(view.element_type), " ", ToString(view.shape), " found, ",
        ElementTypeName(first.element_type), " ", ToString(first.shape), " as in the first part expected"));
  }
  const auto size_bytes = SizeBytes(view.element_type, view.shape, place);
  if (!size_bytes.ok()) return size_bytes.status();
  if (*size_bytes > 0 && view.data == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(place, ": data is null, expected ", *size_bytes, " bytes"));
  }
  return absl::OkStatus();
}

// One after the other along a new first dimension. Adds their bytes to `message_bytes`.
absl::Status Join(const std::vector<PartialResult>& parts, Member member, absl::string_view name,
                  v1::TensorDescription& description, std::string& data, std::size_t& message_bytes) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (absl::Status status = CheckPart(parts, i, member, name); !status.ok()) return status;
  }
  const TensorView& first = parts[0].*member;
  const std::size_t part_bytes = *SizeBytes(first.element_type, first.shape, name);
  if (part_bytes > (INT_MAX - message_bytes) / parts.size()) {
    return absl::ResourceExhaustedError(absl::StrCat(name, ": with ", parts.size(), " parts of ", part_bytes,
                                                     " bytes the request is over 2 GiB, which no message can hold"));
  }
  message_bytes += part_bytes * parts.size();
  description.set_element_type(ToProto(first.element_type));
  description.add_shape(static_cast<std::int64_t>(parts.size()));
  description.mutable_shape()->Add(first.shape.begin(), first.shape.end());
  data.reserve(part_bytes * parts.size());
  for (const PartialResult& part : parts) data.append(static_cast<const char*>((part.*member).data), part_bytes);
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Decode(const v1::TensorDescription& description, const std::string& data,
                              absl::string_view name) {
  const auto type = FromProto(description.element_type(), name);
  if (!type.ok()) return type.status();
  const Shape shape(description.shape().begin(), description.shape().end());
  const auto size_bytes = SizeBytes(*type, shape, name);
  if (!size_bytes.ok() || *size_bytes != data.size()) {
    return absl::InternalError(absl::StrCat("the server's answer contradicts itself: ", name, " has ", data.size(),
                                            " bytes for ", ElementTypeName(*type), " ", ToString(shape)));
  }
  auto tensor = Tensor::Create(*type, shape, name);
  if (tensor.ok() && !data.empty()) std::memcpy(tensor->data(), data.data(), data.size());
  return tensor;
}

}  // namespace

absl::StatusOr<v1::MergePartialsRequest> EncodeMerge(const std::vector<PartialResult>& parts) {
  if (parts.empty()) return absl::InvalidArgumentError("parts: there are none, expected at least 1");
  v1::MergePartialsRequest request;
  std::size_t message_bytes = kSmallFieldsSizeBytes;
  absl::Status status = Join(parts, &PartialResult::output, "output", *request.mutable_output(),
                             *request.mutable_output_data(), message_bytes);
  if (status.ok()) {
    status = Join(parts, &PartialResult::log_sum_exp, "log_sum_exp", *request.mutable_log_sum_exp(),
                  *request.mutable_log_sum_exp_data(), message_bytes);
  }
  if (!status.ok()) return status;
  return request;
}

absl::StatusOr<MergedResult> DecodeMerge(const v1::MergePartialsResponse& response) {
  auto output = Decode(response.output(), response.output_data(), "output");
  if (!output.ok()) return output.status();
  auto log_sum_exp = Decode(response.log_sum_exp(), response.log_sum_exp_data(), "log_sum_exp");
  if (!log_sum_exp.ok()) return log_sum_exp.status();
  return MergedResult{.output = *std::move(output), .log_sum_exp = *std::move(log_sum_exp)};
}

}  // namespace attnd

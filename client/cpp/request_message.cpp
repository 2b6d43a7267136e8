#include "client/cpp/request_message.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <attnd/v1/attention.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <climits>

#include "client/cpp/problem_message.h"

namespace attnd {
namespace {

using google::protobuf::internal::WireFormatLite;

void Describe(const TensorView& view, v1::TensorDescription& description) {
  description.set_element_type(ToProto(view.element_type));
  description.mutable_shape()->Add(view.shape.begin(), view.shape.end());
}

}  // namespace

std::string FieldPrefix(int field_number, std::size_t size_bytes) {
  std::string prefix;
  google::protobuf::io::StringOutputStream stream(&prefix);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteTag(WireFormatLite::MakeTag(field_number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  coded.WriteVarint32(static_cast<std::uint32_t>(size_bytes));
  coded.Trim();
  return prefix;
}

absl::StatusOr<DescribedRequest> DescribeRequest(const AttendRequest& request) {
  if (absl::Status status = CheckSayable(request); !status.ok()) return status;
  DescribedRequest described{.problem = DescribeOptions(request), .tensors = {}};
  for (const InputTensor& tensor : InputTensors()) {
    const TensorView* const view = FindView(request, tensor.input);
    if (view == nullptr) continue;
    Describe(*view, *tensor.description(described.problem));
    const auto size_bytes = SizeBytes(view->element_type, view->shape, tensor.name);
    if (!size_bytes.ok()) return size_bytes.status();
    if (*size_bytes == 0) continue;  // the server says what it thinks of that
    if (view->data == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(tensor.name, ": data is null, expected ", *size_bytes, " bytes"));
    }
    described.tensors.push_back({&tensor, static_cast<const std::byte*>(view->data), *size_bytes});
  }
  return described;
}

absl::StatusOr<std::vector<MessagePart>> EncodeRequest(const DescribedRequest& request) {
  v1::AttendRequest header;
  *header.mutable_problem() = request.problem;
  std::vector<MessagePart> parts(1);
  header.SerializeToString(&parts[0].owned);

  std::size_t left_bytes = INT_MAX - parts[0].owned.size();
  for (const RequestTensor& tensor : request.tensors) {
    MessagePart part{FieldPrefix(tensor.input->data_field_number, tensor.size_bytes), tensor.data, tensor.size_bytes};
    if (tensor.size_bytes > left_bytes || part.owned.size() > left_bytes - tensor.size_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(tensor.input->name, ": with ", tensor.size_bytes,
                                                       " bytes the request is over 2 GiB, which no message can hold"));
    }
    left_bytes -= tensor.size_bytes + part.owned.size();
    parts.push_back(std::move(part));
  }
  return parts;
}

absl::StatusOr<std::vector<MessagePart>> EncodeRequest(const AttendRequest& request) {
  const auto described = DescribeRequest(request);
  if (!described.ok()) return described.status();
  return EncodeRequest(*described);
}

}  // namespace attnd

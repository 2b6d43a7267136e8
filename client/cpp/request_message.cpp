#include "client/cpp/request_message.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <attnd/v1/attention.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <climits>

namespace attnd {
namespace {

using google::protobuf::internal::WireFormatLite;

v1::ElementType ToProto(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return v1::ELEMENT_TYPE_FLOAT32;
    case ElementType::kBfloat16:
      return v1::ELEMENT_TYPE_BFLOAT16;
    case ElementType::kFloat16:
      return v1::ELEMENT_TYPE_FLOAT16;
    case ElementType::kInt32:
      return v1::ELEMENT_TYPE_INT32;
    case ElementType::kBool:
      return v1::ELEMENT_TYPE_BOOL;
  }
  return v1::ELEMENT_TYPE_UNSPECIFIED;
}

v1::CausalMask::Alignment ToProto(CausalAlignment alignment) {
  switch (alignment) {
    case CausalAlignment::kUnspecified:
      return v1::CausalMask::ALIGNMENT_UNSPECIFIED;
    case CausalAlignment::kTopLeft:
      return v1::CausalMask::ALIGNMENT_TOP_LEFT;
    case CausalAlignment::kBottomRight:
      return v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT;
  }
  return v1::CausalMask::ALIGNMENT_UNSPECIFIED;
}

void Describe(const TensorView& view, v1::TensorDescription& description) {
  description.set_element_type(ToProto(view.element_type));
  description.mutable_shape()->Add(view.shape.begin(), view.shape.end());
}

void Describe(const MaskOptions& options, v1::Mask& mask) {
  if (options.causal) mask.mutable_causal()->set_alignment(ToProto(*options.causal));
  if (options.causal_offsets) {
    mask.mutable_causal()->mutable_offsets()->Add(options.causal_offsets->begin(), options.causal_offsets->end());
  }
  if (options.key_lengths) {
    mask.mutable_key_lengths()->mutable_lengths()->Add(options.key_lengths->begin(), options.key_lengths->end());
  }
  if (options.boolean) Describe(*options.boolean, *mask.mutable_boolean()->mutable_tensor());
}

v1::AttentionProblem Describe(const AttendRequest& request) {
  v1::AttentionProblem problem;
  Describe(request.query, *problem.mutable_query());
  Describe(request.key, *problem.mutable_tensors()->mutable_key());
  Describe(request.value, *problem.mutable_tensors()->mutable_value());
  problem.set_layout(request.layout == Layout::kBshd ? v1::LAYOUT_BSHD : v1::LAYOUT_BHSD);
  if (request.scale) problem.set_scale(*request.scale);
  const MaskOptions& mask = request.mask;
  if (mask.causal || mask.causal_offsets || mask.key_lengths || mask.boolean) {
    Describe(mask, *problem.mutable_mask());
  }
  problem.set_empty_row(request.empty_row == EmptyRow::kMeanOfAllValues ? v1::EMPTY_ROW_MEAN_OF_ALL_VALUES
                                                                        : v1::EMPTY_ROW_ZERO);
  problem.set_return_weights(request.return_weights);
  problem.set_return_log_sum_exp(request.return_log_sum_exp);
  return problem;
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
  // Without an offset the message would be that of another mask.
  if (request.mask.causal_offsets && request.mask.causal_offsets->empty()) {
    return absl::InvalidArgumentError("mask.causal.offsets: there are none, expected one a batch entry");
  }
  struct Field {
    v1::TensorName tensor;
    int data_field_number;
    absl::string_view name;
    const TensorView* view;
  };
  std::vector<Field> fields = {
      {v1::TENSOR_NAME_QUERY, v1::AttendRequest::kQueryDataFieldNumber, "query", &request.query},
      {v1::TENSOR_NAME_KEY, v1::AttendRequest::kKeyDataFieldNumber, "key", &request.key},
      {v1::TENSOR_NAME_VALUE, v1::AttendRequest::kValueDataFieldNumber, "value", &request.value}};
  if (request.mask.boolean) {
    fields.push_back(
        {v1::TENSOR_NAME_MASK, v1::AttendRequest::kMaskDataFieldNumber, "mask.boolean", &*request.mask.boolean});
  }

  DescribedRequest described{.problem = Describe(request), .tensors = {}};
  for (const auto& [tensor, data_field_number, name, view] : fields) {
    const auto size_bytes = SizeBytes(view->element_type, view->shape, name);
    if (!size_bytes.ok()) return size_bytes.status();
    if (*size_bytes == 0) continue;  // the server says what it thinks of that
    if (view->data == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": data is null, expected ", *size_bytes, " bytes"));
    }
    described.tensors.push_back(
        {tensor, data_field_number, name, static_cast<const std::byte*>(view->data), *size_bytes});
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
    MessagePart part{FieldPrefix(tensor.data_field_number, tensor.size_bytes), tensor.data, tensor.size_bytes};
    if (tensor.size_bytes > left_bytes || part.owned.size() > left_bytes - tensor.size_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(tensor.name, ": with ", tensor.size_bytes,
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

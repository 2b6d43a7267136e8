#include "client/cpp/stream_answer.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "client/cpp/response_message.h"

namespace attnd {
namespace {

template <typename... Text>
absl::Status Contradiction(const Text&... text) {
  return absl::InternalError(absl::StrCat("the server's answer contradicts itself: ", text...));
}

}  // namespace

absl::Status StreamAnswer::Add(const StreamAnswerEnvelope& envelope, grpc::ByteBuffer* message) {
  using Content = StreamAnswerEnvelope::Content;
  switch (envelope.content) {
    case Content::kNone:
      return absl::OkStatus();
    case Content::kResponse:
      return AddResponse(message, envelope.section);
    case Content::kResult:
      return AddResult(message, envelope.section);
    case Content::kPart:
      return AddPart(message, envelope.section);
  }
  return absl::OkStatus();
}

absl::StatusOr<AttendResult> StreamAnswer::Finish() {
  if (!result_) return Contradiction("it ends OK without a result");
  for (const OutputTensor& tensor : OutputTensors()) {
    const Arriving& arriving = arriving_[tensor.output];
    if (arriving.tensor == nullptr || arriving.received_bytes == arriving.tensor->size_bytes()) continue;
    return Contradiction("it ends OK after ", arriving.received_bytes, " bytes of a tensor of ",
                         arriving.tensor->size_bytes());
  }
  return *std::move(result_);
}

absl::Status StreamAnswer::AddResponse(grpc::ByteBuffer* message, const Section& section) {
  if (result_) return Contradiction("a response comes after a result");
  auto response = DecodeResponse(message, section);
  if (!response.ok()) return response.status();
  if (!expected_) return Contradiction("there is one to a request that is no problem");
  const absl::Status status = CheckShapes(*expected_, ShapesOf(*response));
  if (status.ok()) result_ = *std::move(response);
  return status;
}

absl::Status StreamAnswer::AddResult(grpc::ByteBuffer* message, const Section& section) {
  if (result_) return Contradiction("a result comes after a result");
  const auto described = DecodeResult(message, section);
  if (!described.ok()) return described.status();
  const auto shapes = ShapesOf(*described);
  if (!shapes.ok()) return shapes.status();
  if (!expected_) return Contradiction("there is one to a request that is no problem");
  // Before memory is taken, so that a server can make this client take no more than was asked for.
  if (absl::Status status = CheckShapes(*expected_, *shapes); !status.ok()) return status;

  AttendResult& result = result_.emplace();
  result.report = FromProto(described->report());
  for (const OutputTensor& tensor : OutputTensors()) {
    const std::optional<TypedShape>& shape = (*shapes)[tensor.output];
    if (!shape) continue;
    auto created = Tensor::Create(shape->element_type, shape->shape, tensor.name);
    if (!created.ok()) return created.status();
    Set(result, tensor.output, *std::move(created));
    arriving_[tensor.output] = {.tensor = attnd::Find(result, tensor.output)};
  }
  return absl::OkStatus();
}

absl::Status StreamAnswer::AddPart(grpc::ByteBuffer* message, const Section& section) {
  const auto part = DecodePart(message, section);
  if (!part.ok()) return part.status();
  Arriving* const arriving = Find(part->tensor);
  if (arriving == nullptr) return Contradiction("a part is of a tensor that it does not have");
  Tensor& tensor = *arriving->tensor;
  if (part->offset_bytes < 0 || static_cast<std::size_t>(part->offset_bytes) != arriving->received_bytes) {
    return Contradiction("a part begins at byte ", part->offset_bytes, ", expected ", arriving->received_bytes);
  }
  if (part->data.size_bytes > tensor.size_bytes() - arriving->received_bytes) {
    return Contradiction("a part of ", part->data.size_bytes, " bytes at byte ", part->offset_bytes,
                         " goes beyond a tensor of ", tensor.size_bytes());
  }
  if (!CopySection(message, part->data, tensor.data() + arriving->received_bytes)) {
    return Contradiction("a part ends before its bytes");
  }
  arriving->received_bytes += part->data.size_bytes;
  return absl::OkStatus();
}

StreamAnswer::Arriving* StreamAnswer::Find(v1::TensorName name) {
  for (const OutputTensor& tensor : OutputTensors()) {
    if (tensor.tensor != name) continue;
    Arriving& arriving = arriving_[tensor.output];
    return arriving.tensor == nullptr ? nullptr : &arriving;
  }
  return nullptr;
}

}  // namespace attnd

// From a request's views to the message that gRPC sends, without copying an element.
#pragma once

#include <absl/status/statusor.h>
#include <attnd/v1/attention.pb.h>

#include <cstddef>
#include <string>
#include <vector>

#include "client/cpp/attention.h"
#include "client/cpp/request_tensors.h"

namespace attnd {

// What a message is made of, in order. Bytes of a tensor are referred to, not copied.
struct MessagePart {
  std::string owned;               // copied, sent first
  const void* borrowed = nullptr;  // referred to, sent after `owned`; may be null
  std::size_t borrowed_size_bytes = 0;
};

// A tensor of a request, where the caller has it.
struct RequestTensor {
  const InputTensor* input;
  const std::byte* data;
  std::size_t size_bytes;
};

// A request whose tensors have been looked for and are there. Empty ones are left out.
struct DescribedRequest {
  v1::AttentionProblem problem;
  std::vector<RequestTensor> tensors;
};

// INVALID_ARGUMENT where a view is no tensor, or an option is one that the message cannot hold.
absl::StatusOr<DescribedRequest> DescribeRequest(const AttendRequest& request);

// RESOURCE_EXHAUSTED where the message would not fit 2 GiB.
absl::StatusOr<std::vector<MessagePart>> EncodeRequest(const DescribedRequest& request);

// Both.
absl::StatusOr<std::vector<MessagePart>> EncodeRequest(const AttendRequest& request);

// Tag and length of a field of bytes.
std::string FieldPrefix(int field_number, std::size_t size_bytes);

}  // namespace attnd

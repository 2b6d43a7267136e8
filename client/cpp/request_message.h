// From a request's views to the message that gRPC sends, without copying an element.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <vector>

#include "client/cpp/client.h"

namespace attnd {

// What a message is made of, in order. Bytes of a tensor are referred to, not copied.
struct MessagePart {
  std::string owned;               // copied, sent first
  const void* borrowed = nullptr;  // referred to, sent after `owned`; may be null
  std::size_t borrowed_size_bytes = 0;
};

// INVALID_ARGUMENT where a view is no tensor, RESOURCE_EXHAUSTED where the message would not fit 2 GiB.
absl::StatusOr<std::vector<MessagePart>> EncodeRequest(const AttendRequest& request);

}  // namespace attnd

// From the message that gRPC received to a result: one copy, into aligned memory.
#pragma once

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <attnd/v1/attention.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>

#include "client/cpp/attention.h"

namespace attnd {

// INTERNAL where the bytes are no answer, or one that contradicts itself. Fields that this client does not know are
// skipped.
absl::StatusOr<AttendResult> DecodeResponse(grpc::ByteBuffer* message);

// The same from where the stream stands to its end or limit, which is `size_bytes` away.
absl::StatusOr<AttendResult> DecodeResponse(google::protobuf::io::CodedInputStream& stream, std::size_t size_bytes);

// INTERNAL where this client does not know the type, with `name` in its text.
absl::StatusOr<ElementType> FromProto(v1::ElementType type, absl::string_view name);

Report FromProto(const v1::Report& report);

}  // namespace attnd

// From the slices of a message to a problem's description and the places of its elements.
//
// The message is walked once: its `…_data` fields are noted and skipped, and the rest, which is small, is collected for
// the generated parser. Then the elements are copied once, from the slices to where they are computed on. What
// protobuf's own parser would refuse is refused here, and what it would take is taken: tests hold one against the
// other.
#pragma once

#include <absl/status/statusor.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/problem.h"
#include "server/attend.h"

namespace attnd::server::attnd_v1 {

// The most bytes that everything but the `…_data` fields may take. Only key_lengths grows with a problem: this is
// enough for the lengths of 349,000 batch entries of up to 2 million keys.
inline constexpr std::int64_t kMaxHeaderBytes = 1 << 20;

// The most memory that understanding a header takes, for each of its bytes. The worst that a caller can send are empty
// unknown fields, two bytes each, of which protobuf keeps an entry and a string.
inline constexpr std::int64_t kMaxParsedBytesPerHeaderByte = 64;

// Where the elements of one tensor lie in the message. Without any where size_bytes is 0.
struct Payload {
  std::int64_t begin_bytes = 0;
  std::int64_t size_bytes = 0;
};

// A message of which nothing is understood yet but where its fields are.
struct ScannedRequest {
  Payload query;
  Payload key;
  Payload value;
  Payload mask;
  // An AttendRequest without its `…_data` fields, as bytes.
  std::string header;
};

// `message` is an AttendRequest of `size_bytes` bytes, from its first byte. INVALID_ARGUMENT where the fields do not
// fit into it, a field is not known or has a wrong wire type, or the header is over its limit. Allocates nothing but
// the header.
absl::StatusOr<ScannedRequest> Scan(google::protobuf::io::ZeroCopyInputStream& message, std::int64_t size_bytes);

// INVALID_ARGUMENT where the header is not what attention.proto describes. It is for core::CheckProblem to say whether
// the description holds together.
absl::StatusOr<core::ProblemDescription> ParseHeader(const ScannedRequest& request);

// Copies the elements. `message` is the scanned one, from its first byte; `memory` has room for every payload.
void CopyPayloads(google::protobuf::io::ZeroCopyInputStream& message, const ScannedRequest& request,
                  const InputMemory& memory);

}  // namespace attnd::server::attnd_v1

// From the slices of a message to what it says and the places of its elements.
//
// The message is walked once: its fields of elements are noted and skipped, and the rest, which is small, is collected
// for the generated parser. Then the elements are copied once, from the slices to where they are computed on. What
// protobuf's own parser would refuse is refused here, and what it would take is taken: tests hold one against the
// other.
#pragma once

#include <absl/status/statusor.h>
#include <attnd/v1/attention.pb.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/problem.h"
#include "core/tensors.h"
#include "server/attend.h"

namespace attnd::server::attnd_v1 {

// The most bytes that everything but the elements may take. What grows with a problem are one number a batch entry in
// each of key_lengths, query_lengths, prefix_lengths and offsets, two in a ragged batch; one a query head in sinks, the
// slopes of ALiBi and the heads of summaries; and the rows that summaries are chosen of. A number takes 3 bytes up to 2
// million, and a sink or slope 4: this is enough for the lengths of 349,000 batch entries or as many chosen rows.
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
struct ScannedMessage {
  // Of an AttendRequest, which may lie in a StreamAttendRequest.
  core::PerInput<Payload> inputs;
  // Of a MergePartialsRequest.
  Payload partial_output;
  Payload partial_log_sum_exp;
  // Of a TensorPart.
  Payload part;
  // The number of the member of a StreamAttendRequest's oneof that came last; 0 where none came.
  int content = 0;
  // The message without its elements, as bytes.
  std::string header;
};

// `message` is an AttendRequest, a StreamAttendRequest or a MergePartialsRequest of `size_bytes` bytes, from its first
// byte. INVALID_ARGUMENT where the fields do not fit into it, a field is not known or has a wrong wire type, or the
// header is over its limit; `scanned` then holds what came before. Allocates nothing but the header.
absl::Status ScanRequest(google::protobuf::io::ZeroCopyInputStream& message, std::int64_t size_bytes,
                         ScannedMessage& scanned);
absl::Status ScanStreamRequest(google::protobuf::io::ZeroCopyInputStream& message, std::int64_t size_bytes,
                               ScannedMessage& scanned);
absl::Status ScanMergeRequest(google::protobuf::io::ZeroCopyInputStream& message, std::int64_t size_bytes,
                              ScannedMessage& scanned);

// The id of a StreamAttendRequest whose header begins with it; 0 where it does not.
std::uint64_t ReadStreamId(const ScannedMessage& scanned);

// INVALID_ARGUMENT where the header is not what attention.proto describes. The elements are left out of the result.
absl::StatusOr<v1::AttendRequest> ParseRequest(const ScannedMessage& scanned);
absl::StatusOr<v1::StreamAttendRequest> ParseStreamRequest(const ScannedMessage& scanned);
absl::StatusOr<v1::MergePartialsRequest> ParseMergeRequest(const ScannedMessage& scanned);

// The problem that came whole. It is for core::CheckProblem to say whether the description holds together.
absl::StatusOr<core::ProblemDescription> ToDescription(const v1::AttendRequest& request, const ScannedMessage& scanned);

// Copies the elements. `message` is the scanned one, from its first byte; `memory` has room for every payload.
void CopyPayloads(google::protobuf::io::ZeroCopyInputStream& message, const ScannedMessage& scanned,
                  const InputMemory& memory);
// The same for the elements of a MergePartialsRequest, …
void CopyPartials(google::protobuf::io::ZeroCopyInputStream& message, const ScannedMessage& scanned, std::byte* output,
                  std::byte* log_sum_exp);
// … and for those of a TensorPart.
void CopyPart(google::protobuf::io::ZeroCopyInputStream& message, const ScannedMessage& scanned,
              std::byte* destination);

}  // namespace attnd::server::attnd_v1

// The server's decoder of StreamAttend's messages against protobuf's parser, over messages that were damaged at random.
#include <absl/strings/match.h>
#include <attnd/v1/attention.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "server/attnd_v1/decode.h"
#include "server/attnd_v1/known_fields.h"
#include "tests/server/attnd_v1/every_field.h"
#include "tests/server/attnd_v1/mutation.h"
#include "tests/server/attnd_v1/wire.h"
#include "tests/support/attend_request.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

constexpr int kMessages = 30000;

// Each kind of message, whole.
std::vector<std::string> Originals() {
  std::vector<v1::StreamAttendRequest> messages(4);
  *messages[0].mutable_request() = ToRequest(CaseWithEverything());
  FillEveryField(*messages[1].mutable_start());
  messages[1].set_timeout_seconds(2.5);
  messages[2].mutable_part()->set_tensor(v1::TENSOR_NAME_KEY);
  messages[2].mutable_part()->set_offset_bytes(300);
  messages[2].mutable_part()->set_data("elements");
  messages[3].mutable_cancel();
  std::vector<std::string> originals;
  for (v1::StreamAttendRequest& message : messages) {
    message.set_id(300);
    originals.push_back(message.SerializeAsString());
  }
  return originals;
}

struct Understood {
  // Without elements, as bytes.
  std::string fields;
  // Of the request's tensors and the part, one after the other.
  std::string elements;
};

absl::StatusOr<Understood> DecodeStream(const std::string& message, const Pieces& pieces) {
  PieceStream stream(pieces);
  server::attnd_v1::ScannedMessage scanned;
  absl::Status status = server::attnd_v1::ScanStreamRequest(stream, static_cast<std::int64_t>(message.size()), scanned);
  if (!status.ok()) return status;
  const absl::StatusOr<v1::StreamAttendRequest> parsed = server::attnd_v1::ParseStreamRequest(scanned);
  if (!parsed.ok()) return parsed.status();
  EXPECT_EQ(scanned.content, parsed->content_case());
  Understood understood{.fields = parsed->SerializeAsString(), .elements = {}};
  const auto add = [&](const server::attnd_v1::Payload& payload) {
    understood.elements +=
        message.substr(static_cast<std::size_t>(payload.begin_bytes), static_cast<std::size_t>(payload.size_bytes)) +
        "|";
  };
  std::ranges::for_each(scanned.inputs, add);
  add(scanned.part);
  return understood;
}

absl::StatusOr<Understood> DecodeStreamByReference(const std::string& message) {
  v1::StreamAttendRequest request;
  if (!request.ParseFromString(message)) return absl::InvalidArgumentError("protobuf refuses it");
  if (absl::Status status = server::attnd_v1::CheckKnownFields(request, ""); !status.ok()) return status;
  core::PerInput<std::string> elements;
  if (request.has_request()) elements = TakeElements(*request.mutable_request());
  Understood understood;
  for (const std::string& data : elements) understood.elements += data + "|";
  understood.elements += request.part().data() + "|";
  if (request.has_part()) request.mutable_part()->clear_data();
  understood.fields = request.SerializeAsString();
  return understood;
}

TEST(StreamMutation, AgreesWithProtobufsParser) {
  Random random = SeededRandom();
  const std::vector<std::string> originals = Originals();
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < kMessages; ++i) {
    std::string message = originals[random() % originals.size()];
    // Two of them in one: the later member of the oneof counts, or both together where it is the same.
    const bool is_double = random() % 4 == 0;
    if (is_double) message += originals[random() % originals.size()];
    for (std::uint64_t mutations = random() % 4; mutations > 0; --mutations) Mutate(message, random);
    const absl::StatusOr<Understood> decoded = DecodeStream(message, CutAtRandom(message, random));
    const absl::StatusOr<Understood> reference = DecodeStreamByReference(message);
    // A field that is not known is refused even in a member that a later one makes void, where protobuf drops it.
    const bool is_void = is_double && !decoded.ok() && absl::StrContains(decoded.status().message(), ": field ");
    ASSERT_TRUE(decoded.ok() == reference.ok() || is_void)
        << "message " << i << ": " << decoded.status() << " against " << reference.status();
    if (decoded.ok()) {
      ASSERT_EQ(decoded->fields, reference->fields) << "message " << i;
      ASSERT_EQ(decoded->elements, reference->elements) << "message " << i;
      ++accepted;
    } else {
      ASSERT_EQ(decoded.status().code(), absl::StatusCode::kInvalidArgument) << "message " << i;
      ++refused;
    }
  }
  // Otherwise the mutations are too mild or too strong to tell anything.
  EXPECT_GT(accepted, kMessages / 10);
  EXPECT_GT(refused, kMessages / 10);
}

}  // namespace
}  // namespace attnd::test

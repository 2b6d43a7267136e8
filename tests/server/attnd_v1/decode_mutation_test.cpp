// The server's decoder against protobuf's parser, over messages that were damaged at random.
#include <attnd/v1/attention.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "tests/server/attnd_v1/wire.h"
#include "tests/support/attend_request.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

constexpr int kMessages = 30000;

// Whole messages that are valid or nearly so, for the mutations to start from.
std::vector<std::string> Originals() {
  std::vector<std::string> originals;
  originals.push_back(ToRequest(CaseWithEverything()).SerializeAsString());
  Random random = SeededRandom();
  CaseOptions of_rank_2;
  of_rank_2.rank = 2;
  originals.push_back(ToRequest(MakeCase(of_rank_2, random)).SerializeAsString());
  v1::AttendRequest few_fields;
  few_fields.mutable_problem()->mutable_query();
  few_fields.set_key_data("k");
  originals.push_back(few_fields.SerializeAsString());
  return originals;
}

// What damages a message where it hurts: tags, lengths and numbers at their limits.
const std::vector<std::string>& Snippets() {
  static const std::vector<std::string> snippets = {
      std::string(1, '\0'),
      "\x7f",
      "\x80",
      "\xff\xff\xff\xff\x0f",
      "\xff\xff\xff\xff\x7f",
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
      "\x80\x80\x80\x80\x08",                  // 2^31
      std::string("\x81\x80\x80\x80\x00", 5),  // 1, padded
      "\xc2\x3e\x01q",
      "\xca\x3e\x01k",
      "\xd2\x3e\x01v",
      "\xda\x3e\x01m",                              // payloads
      std::string("\xc2\xbe\x80\x00\x01q", 6),      // a payload whose tag is padded
      std::string("\xc2\xbe\x80\x80\x10\x01q", 7),  // a tag with a bit past the 32nd
      std::string("\xe2\x3e\x00", 3),               // the number after the last payload
      std::string("\x0a\x00", 2),
      "\x0a\x02\x38\x01",
      "\x0b",
      "\x0c",
      "\x98\x06\x01",
      "\xc3\x3e\xc4\x3e",
  };
  return snippets;
}

void Mutate(std::string& message, std::mt19937_64& random) {
  const auto position = [&](std::size_t size) { return static_cast<std::size_t>(random() % (size + 1)); };
  const std::size_t begin = position(message.size());
  const std::size_t count = position(std::min<std::size_t>(message.size() - begin, 8));
  switch (random() % 7) {
    case 0:
      if (begin < message.size()) message[begin] = static_cast<char>(message[begin] ^ (1 << random() % 8));
      break;
    case 1:
      if (begin < message.size()) message[begin] = static_cast<char>(random());
      break;
    case 2:
      message.erase(begin, count);
      break;
    case 3:
      message.insert(begin, message.substr(position(message.size()), count));
      break;
    case 4:
      message.insert(begin, Snippets()[random() % Snippets().size()]);
      break;
    case 5:
      message += Snippets()[random() % Snippets().size()];
      break;
    default:
      message.resize(begin);
  }
}

TEST(DecodeMutation, AgreesWithProtobufsParser) {
  Random random = SeededRandom();
  const std::vector<std::string> originals = Originals();
  int accepted = 0;
  int refused = 0;
  for (int i = 0; i < kMessages; ++i) {
    std::string message = originals[random() % originals.size()];
    for (std::uint64_t mutations = random() % 4; mutations > 0; --mutations) Mutate(message, random);
    const absl::StatusOr<Decoded> decoded = Decode(CutAtRandom(message, random));
    const absl::StatusOr<Decoded> reference = DecodeByReference(message);
    ASSERT_EQ(decoded.ok(), reference.ok())
        << "message " << i << ": " << decoded.status() << " against " << reference.status();
    if (decoded.ok()) {
      ASSERT_EQ(ToString(*decoded), ToString(*reference)) << "message " << i;
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

// The server's decoder against protobuf's parser, over messages that were damaged at random.
#include <attnd/v1/attention.pb.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/attnd_v1/every_field.h"
#include "tests/server/attnd_v1/mutation.h"
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
  v1::AttendRequest every_field;
  FillEveryField(every_field);
  every_field.mutable_problem()->clear_layout();
  originals.push_back(every_field.SerializeAsString());
  v1::AttendRequest few_fields;
  few_fields.mutable_problem()->mutable_query();
  few_fields.set_key_data("k");
  originals.push_back(few_fields.SerializeAsString());
  return originals;
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

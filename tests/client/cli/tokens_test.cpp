#include "client/cli/tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/client/cli/file_under_test.h"

namespace attnd::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class TokensTest : public FolderTest {
 protected:
  static absl::StatusOr<Tokens> Read(const std::string& file, const std::string& key_file = "",
                                     std::int64_t batch = 0) {
    return ReadTokens(*Inputs::Open(""), {.metadata = "tokens", .file = file, .key_file = key_file}, batch);
  }

  static void ExpectRefused(const absl::Status& status, const std::string& text) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
};

TEST_F(TokensTest, AFileHoldsAListOrAListForEachBatchEntryOrLines) {
  EXPECT_THAT(Read(Write("a", R"(["the", "c\u0061t"])"))->queries, ElementsAre("the", "cat"));
  EXPECT_THAT(Read(Write("b", R"([["the"], ["a", "cat"]])"), "", 1)->queries, ElementsAre("a", "cat"));
  EXPECT_THAT(Read(Write("c", "[CLS]\nthe\r\n\n cat\n"))->queries, ElementsAre("[CLS]", "the", "", " cat"));
  EXPECT_THAT(Read(Write("d", "[1, 2"))->queries, ElementsAre("[1, 2"));
}

TEST_F(TokensTest, RefusesWhatAreNone) {
  ExpectRefused(Read(Path("missing")).status(), "missing");
  ExpectRefused(Read(Write("a", R"([["the"], ["a"]])"), "", 2).status(), "has 2 lists, none for batch entry 2");
  ExpectRefused(Read(Write("b", "[3]")).status(), "a token is no string, but JSON number");
  ExpectRefused(Read(Write("c.json", "the cat")).status(), "no JSON list");
}

TEST_F(TokensTest, OneListLabelsTheSidesThatHaveAsMany) {
  const Tokens tokens = *Read(Write("a", "the\ncat\n"));
  EXPECT_THAT(LabelsFor(tokens, 2, 2)->queries, ElementsAre("the", "cat"));
  EXPECT_THAT(LabelsFor(tokens, 2, 2)->keys, ElementsAre("the", "cat"));
  EXPECT_THAT(LabelsFor(tokens, 1, 2)->queries, ElementsAre("0"));
  EXPECT_THAT(LabelsFor(tokens, 1, 2)->keys, ElementsAre("the", "cat"));
  EXPECT_THAT(LabelsFor(tokens, 2, 1)->queries, ElementsAre("the", "cat"));
  EXPECT_THAT(LabelsFor(tokens, 2, 1)->keys, ElementsAre("0"));
  ExpectRefused(LabelsFor(tokens, 3, 3).status(), "a: 2 tokens found, 3 (the number of queries) expected");
}

TEST_F(TokensTest, KeysMayHaveTheirOwn) {
  const Tokens tokens = *Read(Write("a", "the\ncat\n"), Write("b", "die\nKatze\nsitzt"));
  EXPECT_THAT(LabelsFor(tokens, 2, 3)->queries, ElementsAre("the", "cat"));
  EXPECT_THAT(LabelsFor(tokens, 2, 3)->keys, ElementsAre("die", "Katze", "sitzt"));
  ExpectRefused(LabelsFor(tokens, 3, 3).status(), "a: 2 tokens found, 3 (the number of queries) expected");
  ExpectRefused(LabelsFor(tokens, 2, 2).status(), "b: 3 tokens found, 2 (the number of keys) expected");
}

}  // namespace
}  // namespace attnd::cli

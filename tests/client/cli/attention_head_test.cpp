#include "client/cli/attention_head.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "client/cli/inputs.h"
#include "client/cli/safetensors.h"
#include "tests/client/cli/file_under_test.h"

namespace attnd::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kTokens[] = R"([["[CLS]","cat","[SEP]"],["[CLS]","[SEP]","[PAD]"]])";

class AttentionHeadTest : public FolderTest {
 protected:
  AttentionHeadTest() {
    std::iota(weights_.begin(), weights_.end(), 0.0F);
    Add("weights", {2, 2, 3, 3});
  }

  // Weight i of each tensor is i.
  void Add(const std::string& name, const Shape& shape) {
    std::size_t count = 1;
    for (const std::int64_t dimension : shape) count *= static_cast<std::size_t>(dimension);
    content_.tensors[name] = {DataType::kFloat32, shape, std::as_bytes(std::span(weights_).first(count))};
  }

  absl::StatusOr<HeatMap> Select(const HeadSelection& selection) {
    EXPECT_TRUE(WriteSafetensors(Path("x"), content_).ok());
    auto inputs = Inputs::Open(Path("x"));
    EXPECT_TRUE(inputs.ok()) << inputs.status();
    return SelectHead(*inputs, selection);
  }

  static HeadSelection Of(std::int64_t batch, std::int64_t head) {
    return {
        .weights = "weights", .batch = batch, .head = head, .tokens_metadata = "tokens", .key_lengths = "key_lengths"};
  }

  void ExpectRefused(const HeadSelection& selection, const std::string& text) {
    const auto map = Select(selection);
    EXPECT_FALSE(map.ok());
    EXPECT_THAT(std::string(map.status().message()), HasSubstr(text));
  }

  std::vector<float> weights_ = std::vector<float>(36);
  std::vector<std::int64_t> lengths_ = {3, 1};
  Safetensors content_;
};

TEST_F(AttentionHeadTest, IsTheOneThatWasSelected) {
  const auto map = Select(Of(1, 0));
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->rows, 3);
  EXPECT_EQ(map->columns, 3);
  EXPECT_THAT(map->values, ElementsAre(18, 19, 20, 21, 22, 23, 24, 25, 26));
  EXPECT_THAT(map->row_labels, ElementsAre("0", "1", "2"));
  EXPECT_THAT(map->column_labels, ElementsAre("0", "1", "2"));
}

TEST_F(AttentionHeadTest, LowerRanksHaveOneHead) {
  Add("weights", {2, 3, 3});
  EXPECT_THAT(Select(Of(1, 0))->values, ElementsAre(9, 10, 11, 12, 13, 14, 15, 16, 17));
  ExpectRefused(Of(1, 1), "--head is 1, expected 0 to 0");
  Add("weights", {2, 3});
  EXPECT_THAT(Select(Of(0, 0))->values, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(AttentionHeadTest, TokensLabelRowsAndColumnsAndPaddingIsLeftOut) {
  content_.metadata["tokens"] = kTokens;
  EXPECT_THAT(Select(Of(0, 0))->row_labels, ElementsAre("[CLS]", "cat", "[SEP]"));
  const auto padded = Select(Of(1, 0));
  ASSERT_TRUE(padded.ok()) << padded.status();
  EXPECT_THAT(padded->column_labels, ElementsAre("[CLS]", "[SEP]"));
  EXPECT_THAT(padded->row_labels, ElementsAre("[CLS]", "[SEP]"));
  EXPECT_THAT(padded->values, ElementsAre(18, 19, 21, 22));
}

TEST_F(AttentionHeadTest, KeyLengthsSayWhatIsPadding) {
  content_.metadata["tokens"] = kTokens;
  content_.tensors["key_lengths"] = {DataType::kInt64, {2}, std::as_bytes(std::span(lengths_))};
  EXPECT_THAT(Select(Of(1, 0))->values, ElementsAre(18));
  lengths_ = {3, 100};
  EXPECT_EQ(Select(Of(1, 0))->columns, 3);
  content_.tensors["key_lengths"] = {DataType::kInt64, {1}, std::as_bytes(std::span(lengths_).first(1))};
  ExpectRefused(Of(1, 0), "none for batch entry 1");
}

// Cross-attention: the tokens are those of the keys.
TEST_F(AttentionHeadTest, OtherQueriesAreNumbered) {
  Add("weights", {2, 3});
  content_.metadata["tokens"] = kTokens;
  const auto map = Select(Of(0, 0));
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_THAT(map->row_labels, ElementsAre("0", "1"));
  EXPECT_THAT(map->column_labels, ElementsAre("[CLS]", "cat", "[SEP]"));
}

TEST_F(AttentionHeadTest, RefusesWhatIsNotThere) {
  ExpectRefused(Of(2, 0), "--batch is 2, expected 0 to 1");
  ExpectRefused(Of(-1, 0), "--batch is -1");
  ExpectRefused(Of(0, 2), "--head is 2, expected 0 to 1");
  HeadSelection other = Of(0, 0);
  other.weights = "other";
  ExpectRefused(other, "no tensor \"other\"");
  Add("weights", {36});
  ExpectRefused(Of(0, 0), "expected rank 2, 3 or 4");
}

TEST_F(AttentionHeadTest, RefusesWhatAreNoWeights) {
  weights_[4] = -0.5;
  ExpectRefused(Of(0, 0), "weights: holds -0.5 at query 1, key 1");
}

TEST_F(AttentionHeadTest, RefusesTokensThatAreNoListsOfText) {
  for (const char* tokens : {"cats", "{}", "[]", "[[],3]", R"([["a"],[1]])"}) {
    content_.metadata["tokens"] = tokens;
    ExpectRefused(Of(1, 0), "metadata \"tokens\"");
  }
}

}  // namespace
}  // namespace attnd::cli

#include "client/cli/attention_layer.h"

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

struct Selection {
  LayerSelection layer;
  std::int64_t head = 0;
};

class AttentionLayerTest : public FolderTest {
 protected:
  AttentionLayerTest() {
    std::iota(weights_.begin(), weights_.end(), 0.0F);
    Add("weights", {2, 2, 3, 3});
  }

  // Weight i of each tensor is i.
  void Add(const std::string& name, const Shape& shape) {
    std::size_t count = 1;
    for (const std::int64_t dimension : shape) count *= static_cast<std::size_t>(dimension);
    content_.tensors[name] = {DataType::kFloat32, shape, std::as_bytes(std::span(weights_).first(count))};
  }

  absl::StatusOr<AttentionLayer> Open(const LayerSelection& selection) {
    EXPECT_TRUE(WriteSafetensors(Path("x"), content_).ok());
    inputs_ = Inputs::Open(Path("x"));
    EXPECT_TRUE(inputs_.ok()) << inputs_.status();
    return AttentionLayer::Open(*inputs_, selection);
  }

  absl::StatusOr<HeatMap> Select(const Selection& selection) {
    const auto layer = Open(selection.layer);
    if (!layer.ok()) return layer.status();
    return layer->Map(selection.head);
  }

  absl::StatusOr<TopKeys> SelectTop(std::int64_t batch, std::int64_t head) {
    LayerSelection selection = Of(batch, head).layer;
    selection.kind = Kind::kTop;
    selection.names = {.number = {}, .tensor = "top_keys", .top_weights = "top_weights"};
    const auto layer = Open(selection);
    if (!layer.ok()) return layer.status();
    return layer->Top(head);
  }

  static Selection Of(std::int64_t batch, std::int64_t head) {
    return {.layer = {.kind = Kind::kWeights,
                      .names = {.number = {}, .tensor = "weights", .top_weights = {}},
                      .batch = batch,
                      .tokens = {.metadata = "tokens", .file = {}, .key_file = {}},
                      .key_lengths = "key_lengths"},
            .head = head};
  }

  void ExpectRefused(const Selection& selection, const std::string& text) {
    const auto map = Select(selection);
    EXPECT_FALSE(map.ok());
    EXPECT_THAT(std::string(map.status().message()), HasSubstr(text));
  }

  std::vector<float> weights_ = std::vector<float>(36);
  std::vector<std::int64_t> lengths_ = {3, 1};
  std::vector<std::int32_t> keys_ = {2, 0, 1, -1, 0, 1};
  Safetensors content_;
  absl::StatusOr<Inputs> inputs_ = Inputs();
};

TEST_F(AttentionLayerTest, IsTheOneThatWasSelected) {
  const auto map = Select(Of(1, 0));
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->rows, 3);
  EXPECT_EQ(map->columns, 3);
  EXPECT_THAT(map->values, ElementsAre(18, 19, 20, 21, 22, 23, 24, 25, 26));
  EXPECT_THAT(map->row_labels, ElementsAre("0", "1", "2"));
  EXPECT_THAT(map->column_labels, ElementsAre("0", "1", "2"));
}

TEST_F(AttentionLayerTest, LowerRanksHaveOneHead) {
  Add("weights", {2, 3, 3});
  EXPECT_THAT(Select(Of(1, 0))->values, ElementsAre(9, 10, 11, 12, 13, 14, 15, 16, 17));
  ExpectRefused(Of(1, 1), "--head is 1, expected 0 to 0");
  Add("weights", {2, 3});
  EXPECT_THAT(Select(Of(0, 0))->values, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(AttentionLayerTest, TokensLabelRowsAndColumnsAndPaddingIsLeftOut) {
  content_.metadata["tokens"] = kTokens;
  EXPECT_THAT(Select(Of(0, 0))->row_labels, ElementsAre("[CLS]", "cat", "[SEP]"));
  const auto padded = Select(Of(1, 0));
  ASSERT_TRUE(padded.ok()) << padded.status();
  EXPECT_THAT(padded->column_labels, ElementsAre("[CLS]", "[SEP]"));
  EXPECT_THAT(padded->row_labels, ElementsAre("[CLS]", "[SEP]"));
  EXPECT_THAT(padded->values, ElementsAre(18, 19, 21, 22));
}

TEST_F(AttentionLayerTest, KeyLengthsSayWhatIsPadding) {
  content_.metadata["tokens"] = kTokens;
  content_.tensors["key_lengths"] = {DataType::kInt64, {2}, std::as_bytes(std::span(lengths_))};
  EXPECT_THAT(Select(Of(1, 0))->values, ElementsAre(18));
  lengths_ = {3, 100};
  EXPECT_EQ(Select(Of(1, 0))->columns, 3);
  content_.tensors["key_lengths"] = {DataType::kInt64, {1}, std::as_bytes(std::span(lengths_).first(1))};
  ExpectRefused(Of(1, 0), "none for batch entry 1");
}

// Cross-attention: the tokens are those of the keys.
TEST_F(AttentionLayerTest, OtherQueriesAreNumbered) {
  Add("weights", {2, 3});
  content_.metadata["tokens"] = kTokens;
  const auto map = Select(Of(0, 0));
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_THAT(map->row_labels, ElementsAre("0", "1"));
  EXPECT_THAT(map->column_labels, ElementsAre("[CLS]", "cat", "[SEP]"));
}

TEST_F(AttentionLayerTest, RefusesWhatIsNotThere) {
  ExpectRefused(Of(2, 0), "--batch is 2, expected 0 to 1");
  ExpectRefused(Of(-1, 0), "--batch is -1");
  ExpectRefused(Of(0, 2), "--head is 2, expected 0 to 1");
  Selection other = Of(0, 0);
  other.layer.names.tensor = "other";
  ExpectRefused(other, "no tensor \"other\"");
  Add("weights", {36});
  ExpectRefused(Of(0, 0), "expected rank 2, 3 or 4");
}

TEST_F(AttentionLayerTest, RefusesWhatAreNoWeights) {
  weights_[4] = -0.5;
  ExpectRefused(Of(0, 0), "weights: holds -0.5 at query 1, key 1");
}

TEST_F(AttentionLayerTest, RefusesTokensThatAreNoListsOfText) {
  for (const char* tokens : {"cats", "{}", "[]", "[[],3]", R"([["a"],[1]])"}) {
    content_.metadata["tokens"] = tokens;
    ExpectRefused(Of(1, 0), "metadata \"tokens\"");
  }
}

class TopKeysOfALayerTest : public AttentionLayerTest {
 protected:
  TopKeysOfALayerTest() {
    content_.tensors["top_keys"] = {DataType::kInt32, {1, 3, 2}, std::as_bytes(std::span(keys_))};
    Add("top_weights", {1, 3, 2});
  }
};

TEST_F(TopKeysOfALayerTest, HaveAKeyAndAWeightInEachPlace) {
  content_.metadata["tokens"] = kTokens;
  const auto top = SelectTop(0, 0);
  ASSERT_TRUE(top.ok()) << top.status();
  EXPECT_EQ(top->rows, 3);
  EXPECT_EQ(top->k, 2);
  EXPECT_EQ(top->columns, 3);
  EXPECT_THAT(top->keys, ElementsAre(2, 0, 1, -1, 0, 1));
  EXPECT_THAT(top->weights, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(top->row_labels, ElementsAre("[CLS]", "cat", "[SEP]"));
}

TEST_F(TopKeysOfALayerTest, TellHowManyKeysThereAreWhereNoTokensDo) {
  keys_[0] = 6;
  const auto top = SelectTop(0, 0);
  ASSERT_TRUE(top.ok()) << top.status();
  EXPECT_THAT(top->column_labels, ElementsAre("0", "1", "2", "3", "4", "5", "6"));
}

TEST_F(TopKeysOfALayerTest, AreRefusedWhereTheyCannotBe) {
  keys_[4] = -2;
  EXPECT_THAT(std::string(SelectTop(0, 0).status().message()), HasSubstr("top_keys: holds key -2, expected -1 to"));
  Add("top_weights", {3, 2});
  EXPECT_THAT(std::string(SelectTop(0, 0).status().message()),
              HasSubstr("top_weights: shape is [3, 2], expected [1, 3, 2] as of top_keys"));
  Add("top_keys", {1, 3, 2});
  Add("top_weights", {1, 3, 2});
  EXPECT_THAT(std::string(SelectTop(0, 0).status().message()), HasSubstr("expected int64 or int32"));
  content_.tensors.erase("top_weights");
  EXPECT_THAT(std::string(SelectTop(0, 0).status().message()), HasSubstr("no tensor \"top_weights\""));
}

TEST_F(TopKeysOfALayerTest, ArePooledIntoAMap) {
  LayerSelection selection = Of(0, 0).layer;
  selection.kind = Kind::kTop;
  selection.names = {.number = {}, .tensor = "top_keys", .top_weights = "top_weights"};
  const auto layer = Open(selection);
  ASSERT_TRUE(layer.ok()) << layer.status();
  const double none = kUnknownWeight;
  EXPECT_THAT(layer->Pooled(0, 1, 1)->values, ElementsAre(1, none, 0, none, 2, none, 4, 5, none));
  EXPECT_THAT(layer->Pooled(0, 2, 2)->values, ElementsAre(2, 0, 5, none));
}

class PooledMapOfALayerTest : public AttentionLayerTest {
 protected:
  // The rows' and columns' labels, a space between them.
  std::string Labels(std::int64_t rows, std::int64_t columns) {
    Add("a.pooled_map", {1, 2, rows, columns});
    Selection selection = Of(0, 1);
    selection.layer.kind = Kind::kPooled;
    selection.layer.names.tensor = "a.pooled_map";
    const auto map = Select(selection);
    EXPECT_TRUE(map.ok()) << map.status();
    std::string labels;
    for (const std::string& label : map->row_labels) labels += label + " ";
    for (const std::string& label : map->column_labels) labels += " " + label;
    return labels;
  }
};

TEST_F(PooledMapOfALayerTest, IsLabelledByTheRangesThatItsCellsCover) {
  Add("a.received_sum", {1, 2, 7});
  content_.tensors["a.top_keys"] = {DataType::kInt32, {3, 2}, std::as_bytes(std::span(keys_))};
  EXPECT_EQ(Labels(2, 3), "0 1–2  0–1 2–3 4–6");
  EXPECT_EQ(Labels(4, 1), "none 0 1 2  0–6");
}

TEST_F(PooledMapOfALayerTest, TakesTheTokensNumberWhereNoTensorTellsIt) {
  EXPECT_EQ(Labels(2, 1), "0 1  0");
  content_.metadata["tokens"] = kTokens;
  EXPECT_EQ(Labels(2, 1), "0 1–2  0–2");
}

}  // namespace
}  // namespace attnd::cli

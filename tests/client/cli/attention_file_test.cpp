#include "client/cli/attention_file.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/inputs.h"
#include "client/cli/safetensors.h"
#include "tests/client/cli/file_under_test.h"

namespace attnd::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class AttentionFileTest : public FolderTest {
 protected:
  Inputs FileWith(std::initializer_list<const char*> names) {
    Safetensors content;
    for (const char* name : names) content.tensors[name] = {DataType::kFloat32, {0}, {}};
    EXPECT_TRUE(WriteSafetensors(Path("x"), content).ok());
    return *Inputs::Open(Path("x"));
  }

  // "number:tensor" of each layer, with the top weights after a second colon.
  static std::vector<std::string> Found(const Inputs& inputs, Kind kind, const AttentionNames& names = {}) {
    std::vector<std::string> found;
    for (const LayerNames& layer : FindLayers(inputs, kind, names)) {
      found.push_back((layer.number ? std::to_string(*layer.number) : "-") + ":" + layer.tensor +
                      (layer.top_weights.empty() ? "" : ":" + layer.top_weights));
    }
    return found;
  }
};

TEST_F(AttentionFileTest, TakesTheUsualNames) {
  EXPECT_THAT(Found(FileWith({"weights", "layer0.weights"}), Kind::kWeights), ElementsAre("-:weights"));
  EXPECT_THAT(
      Found(FileWith({"layer2.weights", "layer10.weights", "layer2.output", "layers.3.weights"}), Kind::kWeights),
      ElementsAre("2:layer2.weights", "10:layer10.weights"));
  EXPECT_THAT(Found(FileWith({"layers.3.pooled_map"}), Kind::kPooled), ElementsAre("3:layers.3.pooled_map"));
  EXPECT_THAT(Found(FileWith({"top_keys"}), Kind::kTop), ElementsAre("-:top_keys:top_weights"));
  EXPECT_THAT(Found(FileWith({"layer1.top_keys"}), Kind::kTop), ElementsAre("1:layer1.top_keys:layer1.top_weights"));
  EXPECT_THAT(Found(FileWith({"query"}), Kind::kWeights), IsEmpty());
}

TEST_F(AttentionFileTest, TakesAPatternForTheLayers) {
  const Inputs inputs = FileWith({"m.0.att", "m.1.att", "m.01.att", "m.x.att", "m..att", "m.2.attn", "t.1.w"});
  for (const char* pattern : {"m.*.att", "m.{layer}.att"}) {
    EXPECT_THAT(
        Found(inputs, Kind::kWeights, {.weights = pattern, .pooled_map = {}, .top_keys = {}, .top_weights = {}}),
        ElementsAre("0:m.0.att", "1:m.1.att"));
  }
  EXPECT_THAT(
      Found(inputs, Kind::kTop, {.weights = {}, .pooled_map = {}, .top_keys = "m.*.att", .top_weights = "t.*.w"}),
      ElementsAre("0:m.0.att:t.0.w", "1:m.1.att:t.1.w"));
  EXPECT_THAT(Found(inputs, Kind::kPooled, {.weights = {}, .pooled_map = "x*", .top_keys = {}, .top_weights = {}}),
              IsEmpty());
}

TEST_F(AttentionFileTest, ANameThatIsThereIsNoPattern) {
  EXPECT_THAT(Found(FileWith({"w*", "w1"}), Kind::kWeights,
                    {.weights = "w*", .pooled_map = {}, .top_keys = {}, .top_weights = {}}),
              ElementsAre("-:w*"));
}

TEST_F(AttentionFileTest, LayersAreSelectedByTheirNumber) {
  const auto layers = FindLayers(FileWith({"layer2.weights", "layer10.weights"}), Kind::kWeights, {});
  EXPECT_EQ(SelectLayer(layers, std::nullopt)->tensor, "layer2.weights");
  EXPECT_EQ(SelectLayer(layers, 10)->tensor, "layer10.weights");
  const auto missing = SelectLayer(layers, 3);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("--layer is 3, the file's layers are 2, 10"));
}

}  // namespace
}  // namespace attnd::cli

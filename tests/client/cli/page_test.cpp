#include "client/cli/page.h"

#include <absl/strings/escaping.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "client/cli/attention_layer.h"
#include "client/cli/safetensors.h"
#include "client/cli/weight_codes.h"
#include "tests/client/cli/file_under_test.h"

namespace attnd::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;

// What stands between two texts, of which the first must be there.
std::string Between(const std::string& text, const std::string& before, const std::string& after) {
  const std::size_t begin = text.find(before);
  if (begin == std::string::npos) return "there is no " + before;
  return text.substr(begin + before.size(), text.find(after, begin + before.size()) - begin - before.size());
}

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string Inflate(const std::string& base64, std::size_t size_bytes) {
  std::string deflated;
  EXPECT_TRUE(absl::Base64Unescape(base64, &deflated));
  std::string bytes(size_bytes + 1, '\0');
  uLongf inflated_bytes = bytes.size();
  EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(bytes.data()), &inflated_bytes,
                       reinterpret_cast<const Bytef*>(deflated.data()), deflated.size()),
            Z_OK);
  bytes.resize(inflated_bytes);
  return bytes;
}

class PageTest : public FolderTest {
 protected:
  PageTest() {
    content_.tensors["a.weights"] = Floats({1, 2, 2, 2}, weights_);
    content_.tensors["b.weights"] = Floats({1, 2, 2, 2}, weights_);
    content_.tensors["top_keys"] = {DataType::kInt32, {1, 1, 2, 2}, std::as_bytes(std::span(keys_))};
    content_.tensors["top_weights"] = Floats({1, 1, 2, 2}, weights_);
  }

  static Array Floats(const Shape& shape, const std::vector<float>& values) {
    std::size_t count = 1;
    for (const std::int64_t dimension : shape) count *= static_cast<std::size_t>(dimension);
    return {DataType::kFloat32, shape, std::as_bytes(std::span(values).first(count))};
  }

  absl::StatusOr<std::vector<std::string>> Make() {
    EXPECT_TRUE(WriteSafetensors(Path("x"), content_).ok());
    inputs_ = Inputs::Open(Path("x"));
    EXPECT_TRUE(inputs_.ok()) << inputs_.status();
    LayerSelection selection;
    selection.tokens.metadata = "tokens";
    PageSource source{.title = title_, .batch = 0, .kinds = {{}, {}}};
    for (const char* name : {"a.weights", "b.weights"}) {
      selection.names.tensor = name;
      source.kinds[0].push_back(*AttentionLayer::Open(*inputs_, selection));
    }
    selection.kind = Kind::kTop;
    selection.names = {.number = {}, .tensor = "top_keys", .top_weights = "top_weights"};
    source.kinds[1].push_back(*AttentionLayer::Open(*inputs_, selection));
    return MakePage(source);
  }

  std::string Page() {
    const auto pieces = Make();
    EXPECT_TRUE(pieces.ok()) << pieces.status();
    std::string page;
    for (const std::string& piece : *pieces) page += piece;
    return page;
  }

  static Json Described(const std::string& page) {
    return Json::parse(Between(page, R"(id="attention">)", "</script>"));
  }

  std::string title_ = "title";
  std::vector<float> weights_ = {0, 0.25, 1, 0.5, 0.125, 0.5, 0.5, 0.25};
  std::vector<std::int32_t> keys_ = {1, 0, 0, -1};
  Safetensors content_;
  absl::StatusOr<Inputs> inputs_ = Inputs();
};

TEST_F(PageTest, HoldsEveryHeadDeflated) {
  const std::string page = Page();
  const Json described = Described(page);
  EXPECT_EQ(described["bits"], 16);
  EXPECT_EQ(described["kinds"][0]["layers"][1]["tensor"], "b.weights");
  EXPECT_EQ(described["kinds"][0]["layers"][1]["heads"][1]["largest"], 0.5);
  for (const char* layer : {"0", "1"}) {
    EXPECT_EQ(Inflate(Between(page, std::string("id=\"head-0-") + layer + "-0\">", "</script>"), 8),
              EncodeWeights({0, 0.25, 1, 0.5}, 1, CodeBits::k16));
    EXPECT_EQ(Inflate(Between(page, std::string("id=\"head-0-") + layer + "-1\">", "</script>"), 8),
              EncodeWeights({0.125, 0.5, 0.5, 0.25}, 0.5, CodeBits::k16));
  }
}

TEST_F(PageTest, HoldsTopKeysAsTheKeysAndTheirCodes) {
  const std::string page = Page();
  EXPECT_EQ(Described(page)["kinds"][1]["places"], 2);
  EXPECT_EQ(Inflate(Between(page, R"(id="head-1-0-0">)", "</script>"), 24),
            LittleEndian(1, 4) + LittleEndian(0, 4) + LittleEndian(0, 4) + LittleEndian(0xffffffff, 4) +
                EncodeWeights({0, 0.25, 1, 0.5}, 1, CodeBits::k16));
}

TEST_F(PageTest, NothingInAFileBecomesMarkup) {
  title_ = "</title><script>alert(1)</script>";
  const std::vector<std::string> tokens = {"</script><script>alert(2)</script>",
                                           std::string("<!-- \"'& \x01\x7f\0", 11)};
  content_.metadata["tokens"] = Json::array({tokens}).dump();
  const std::string page = Page();
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  // Those of the data, of five heads, and of the script.
  EXPECT_EQ(Count(page, "</script"), 1 + 5 + 1);
  EXPECT_THAT(Between(page, R"(id="attention">)", "</script>"), Not(HasSubstr("<")));
  const Json described = Described(page);
  EXPECT_EQ(described["title"], title_);
  EXPECT_EQ(described["kinds"][0]["queries"], tokens);
  EXPECT_EQ(described["kinds"][0]["keys"], tokens);
}

TEST_F(PageTest, WhatIsNoUtf8IsReplaced) {
  title_ = "a\xff";
  EXPECT_EQ(Described(Page())["title"], "a\xEF\xBF\xBD");
}

TEST_F(PageTest, AsksNobody) {
  const std::string page = Page();
  for (const char* part : {"http://", "https://", "src=", "@import", "url(", "fetch(", "@PAGE", "<!-- DATA"}) {
    EXPECT_THAT(page, Not(HasSubstr(part)));
  }
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

TEST_F(PageTest, LayersMustHaveTheSameShape) {
  content_.tensors["b.weights"] = Floats({1, 1, 2, 2}, weights_);
  EXPECT_THAT(std::string(Make().status().message()),
              HasSubstr("b.weights: shape is [1, 1, 2, 2], expected [1, 2, 2, 2] as of a.weights"));
}

TEST_F(PageTest, RefusesWhereNothingIsToShow) {
  content_.tensors["a.weights"] = Floats({1, 2, 2, 0}, weights_);
  EXPECT_THAT(std::string(Make().status().message()),
              HasSubstr("a.weights: 2 heads of 2 x 0 weights found, at least one weight expected"));
}

TEST_F(PageTest, ALargeOneHas8Bits) {
  weights_.assign(2050 * 2050, 0.25F);
  content_.tensors["a.weights"] = content_.tensors["b.weights"] = Floats({1, 1, 2050, 2050}, weights_);
  content_.tensors["top_keys"] = {DataType::kInt32, {1, 1, 2, 2}, std::as_bytes(std::span(keys_))};
  content_.tensors["top_weights"] = Floats({1, 1, 2, 2}, weights_);
  const std::string page = Page();
  EXPECT_EQ(Described(page)["bits"], 8);
  EXPECT_EQ(Inflate(Between(page, R"(id="head-0-0-0">)", "</script>"), 2050 * 2050), std::string(2050 * 2050, '\xfd'));
}

}  // namespace
}  // namespace attnd::cli

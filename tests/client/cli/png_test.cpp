#include "client/cli/png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <png.h>

#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <list>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/cli/attention_layer.h"
#include "client/cli/picture.h"
#include "client/cli/safetensors.h"
#include "tests/client/cli/file_under_test.h"

namespace attnd::cli {
namespace {

using testing::HasSubstr;

// What libpng reads, as red, green, blue and opacity.
struct Decoded {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::vector<std::uint8_t> bytes;

  std::array<int, 4> At(std::int64_t x, std::int64_t y) const {
    const std::uint8_t* const pixel = bytes.data() + (y * width + x) * 4;
    return {pixel[0], pixel[1], pixel[2], pixel[3]};
  }
};

Decoded Decode(const std::string& png) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_memory(&image, png.data(), png.size()), 0) << image.message;
  image.format = PNG_FORMAT_RGBA;
  Decoded decoded{.width = image.width, .height = image.height, .bytes = {}};
  decoded.bytes.resize(PNG_IMAGE_SIZE(image));
  EXPECT_NE(png_image_finish_read(&image, nullptr, decoded.bytes.data(), 0, nullptr), 0) << image.message;
  return decoded;
}

// What the nearest step of the ramp looks like.
std::array<int, 4> Opaque(double share) {
  const Rgb color = RampColor(std::round(share * (kColors - 1)) / (kColors - 1));
  return {color.red, color.green, color.blue, 255};
}

class PngTest : public FolderTest {
 protected:
  // Of two layers; weight i is i.
  AttentionLayer Open(const std::string& name, const Shape& shape, std::vector<float>& weights) {
    weights.resize(
        static_cast<std::size_t>(std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>())));
    std::iota(weights.begin(), weights.end(), 0.0F);
    Safetensors content;
    content.tensors[name] = {DataType::kFloat32, shape, std::as_bytes(std::span(weights))};
    EXPECT_TRUE(WriteSafetensors(Path(name), content).ok());
    inputs_.push_back(*Inputs::Open(Path(name)));
    LayerSelection selection;
    selection.names.tensor = name;
    auto layer = AttentionLayer::Open(inputs_.back(), selection);
    EXPECT_TRUE(layer.ok()) << layer.status();
    return *std::move(layer);
  }

  std::vector<float> weights_;
  std::list<Inputs> inputs_;
};

TEST_F(PngTest, EveryCellIsASquareOfItsColour) {
  const AttentionLayer layer = Open("weights", {1, 2, 2, 3}, weights_);
  const auto picture = DrawHead(layer, 1);
  ASSERT_TRUE(picture.ok()) << picture.status();
  const std::string png = *EncodePng(*picture);
  EXPECT_THAT(png, HasSubstr("weights, head 1: 2 x 3 weights, colours (viridis) from 0 to 11"));
  const Decoded decoded = Decode(png);
  ASSERT_EQ(decoded.width, 3 * 32);
  ASSERT_EQ(decoded.height, 2 * 32);
  for (std::int64_t y = 0; y < decoded.height; ++y) {
    for (std::int64_t x = 0; x < decoded.width; ++x) {
      const std::int64_t weight = 6 + y / 32 * 3 + x / 32;
      ASSERT_EQ(decoded.At(x, y), Opaque(static_cast<double>(weight) / 11)) << x << " " << y;
    }
  }
}

TEST_F(PngTest, WhatIsNotFiniteIsRed) {
  const AttentionLayer layer = Open("weights", {2, 2}, weights_);
  weights_ = {0, 1, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()};
  Safetensors content;
  content.tensors["weights"] = {DataType::kFloat32, {2, 2}, std::as_bytes(std::span(weights_))};
  ASSERT_TRUE(WriteSafetensors(Path("nan"), content).ok());
  Inputs inputs = *Inputs::Open(Path("nan"));
  LayerSelection selection;
  selection.names.tensor = "weights";
  const Decoded decoded = Decode(*EncodePng(*DrawHead(*AttentionLayer::Open(inputs, selection), 0)));
  const std::array<int, 4> red = {kNotFiniteColor.red, kNotFiniteColor.green, kNotFiniteColor.blue, 255};
  EXPECT_EQ(decoded.At(0, 0), Opaque(0));
  EXPECT_EQ(decoded.At(32, 0), Opaque(1));
  EXPECT_EQ(decoded.At(0, 32), red);
  EXPECT_EQ(decoded.At(63, 63), red);
}

TEST_F(PngTest, AllHeadsAreAGridWithARowForEachLayer) {
  std::vector<float> more;
  const std::vector<AttentionLayer> layers = {Open("a", {1, 3, 64, 64}, weights_), Open("b", {1, 2, 64, 64}, more)};
  const Decoded decoded = Decode(*EncodePng(*DrawHeads(layers)));
  // A cell is 2 pixels wide, a head 128, and a gap 5.
  ASSERT_EQ(decoded.width, 3 * 128 + 2 * 5);
  ASSERT_EQ(decoded.height, 2 * 128 + 5);
  const auto share = [](int head, int row, int column) {
    return (head * 4096 + row * 64 + column) / (head * 4096 + 4095.0);
  };
  EXPECT_EQ(decoded.At(0, 0), Opaque(share(0, 0, 0)));
  EXPECT_EQ(decoded.At(127, 127), Opaque(share(0, 63, 63)));
  EXPECT_EQ(decoded.At(133 + 20, 60), Opaque(share(1, 30, 10)));
  EXPECT_EQ(decoded.At(266 + 127, 1), Opaque(share(2, 0, 63)));
  EXPECT_EQ(decoded.At(133 + 40, 133 + 2), Opaque(share(1, 1, 20)));
  for (const auto& [x, y] : {std::pair(130, 10), std::pair(10, 130), std::pair(300, 200)}) {
    EXPECT_EQ(decoded.At(x, y)[3], 0) << x << " " << y;  // the gaps, and the head that layer b has not
  }
}

TEST_F(PngTest, AVeryLongSequenceIsPooled) {
  const AttentionLayer layer = Open("weights", {1, 1, 1, 10000}, weights_);
  const auto picture = DrawHead(layer, 0);
  EXPECT_EQ(picture->width, 3334);  // three of them are a pixel, the last has one
  EXPECT_EQ(picture->height, 8);    // more than a line
  EXPECT_THAT(picture->description, HasSubstr("a pixel is the largest of 3 x 3"));
  const Decoded decoded = Decode(*EncodePng(*picture));
  EXPECT_EQ(decoded.At(1000, 0), Opaque(3002 / 9999.0));
  EXPECT_EQ(decoded.At(3333, 7), Opaque(1));
}

}  // namespace
}  // namespace attnd::cli

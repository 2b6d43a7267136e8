// Boxes of tensors: which lie in one stretch of memory, and what is taken out and put back.
#include "client/cpp/box.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace attnd {
namespace {

// [2, 3, 4] with the elements 0 to 23.
class BoxTest : public ::testing::Test {
 protected:
  BoxTest() {
    numbers_.resize(24);
    std::iota(numbers_.begin(), numbers_.end(), 0.0F);
    view_ = {ElementType::kFloat32, {2, 3, 4}, numbers_.data()};
  }

  std::vector<float> ElementsOf(const Box& box, bool copied) {
    const auto slice = SliceOf(view_, box, "key").value();
    EXPECT_EQ(slice.copy.has_value(), copied);
    EXPECT_EQ(slice.view.shape, ShapeOf(box));
    const auto* first = static_cast<const float*>(slice.view.data);
    return {first, first + SizeBytes(ElementType::kFloat32, slice.view.shape, "").value() / sizeof(float)};
  }

  std::vector<float> numbers_;
  TensorView view_;
};

TEST_F(BoxTest, InOneStretchOfMemoryIsNotCopied) {
  EXPECT_EQ(ElementsOf({{0, 2}, {0, 3}, {0, 4}}, false), numbers_);
  EXPECT_EQ(ElementsOf({{1, 2}, {0, 3}, {0, 4}}, false), std::vector<float>(numbers_.begin() + 12, numbers_.end()));
  EXPECT_EQ(ElementsOf({{1, 2}, {1, 2}, {0, 4}}, false), (std::vector<float>{16, 17, 18, 19}));
  EXPECT_EQ(ElementsOf({{0, 1}, {1, 3}, {0, 4}}, false), (std::vector<float>{4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(ElementsOf({{1, 2}, {2, 3}, {1, 3}}, false), (std::vector<float>{21, 22}));
}

TEST_F(BoxTest, InSeveralStretchesIsCopied) {
  EXPECT_EQ(ElementsOf({{0, 2}, {1, 2}, {0, 4}}, true), (std::vector<float>{4, 5, 6, 7, 16, 17, 18, 19}));
  EXPECT_EQ(ElementsOf({{0, 2}, {1, 3}, {2, 3}}, true), (std::vector<float>{6, 10, 18, 22}));
  EXPECT_EQ(ElementsOf({{1, 2}, {0, 2}, {0, 2}}, true), (std::vector<float>{12, 13, 16, 17}));
}

TEST_F(BoxTest, IsPutBackWhereItWasTaken) {
  for (const Box& box : {Box{{0, 2}, {0, 3}, {0, 4}}, Box{{1, 2}, {1, 3}, {0, 4}}, Box{{0, 2}, {2, 3}, {1, 4}}}) {
    Tensor whole = Tensor::Create(ElementType::kFloat32, {2, 3, 4}, "output").value();
    Clear({{0, 2}, {0, 3}, {0, 4}}, whole);
    Put(SliceOf(view_, box, "output").value().view, box, whole);
    float sum = 0;
    for (std::int64_t n = 0; n < 24; ++n) {
      const Range& i = box[0];
      const Range& j = box[1];
      const Range& k = box[2];
      const bool inside = n / 12 >= i.begin && n / 12 < i.end && n / 4 % 3 >= j.begin && n / 4 % 3 < j.end &&
                          n % 4 >= k.begin && n % 4 < k.end;
      EXPECT_EQ(whole.elements<float>()[n], inside ? static_cast<float>(n) : 0.0F) << n;
      sum += whole.elements<float>()[n];
    }
    EXPECT_GT(sum, 0);
    Clear(box, whole);
    EXPECT_TRUE(std::all_of(whole.elements<float>(), whole.elements<float>() + 24, [](float n) { return n == 0; }));
  }
}

}  // namespace
}  // namespace attnd

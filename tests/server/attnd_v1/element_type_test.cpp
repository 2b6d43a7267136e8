#include "server/attnd_v1/element_type.h"

#include <gtest/gtest.h>

#include <map>

namespace attnd::server::attnd_v1 {
namespace {

const std::map<v1::ElementType, core::ElementType> kTypes = {{v1::ELEMENT_TYPE_FLOAT32, core::ElementType::kFloat32},
                                                             {v1::ELEMENT_TYPE_BFLOAT16, core::ElementType::kBfloat16},
                                                             {v1::ELEMENT_TYPE_FLOAT16, core::ElementType::kFloat16},
                                                             {v1::ELEMENT_TYPE_INT32, core::ElementType::kInt32},
                                                             {v1::ELEMENT_TYPE_BOOL, core::ElementType::kBool}};

TEST(ElementType, EveryNumberIsATypeOrNone) {
  for (int number = -1; number <= 32; ++number) {
    const auto type = static_cast<v1::ElementType>(number);
    const auto expected = kTypes.find(type);
    if (expected == kTypes.end()) {
      EXPECT_FALSE(FromProto(type).has_value()) << number;
    } else {
      EXPECT_EQ(FromProto(type), expected->second) << number;
      EXPECT_EQ(ToProto(expected->second), type) << number;
    }
  }
}

// A type that the interface gains is not forgotten here.
TEST(ElementType, EveryNamedTypeIsKnown) {
  const google::protobuf::EnumDescriptor& types = *v1::ElementType_descriptor();
  EXPECT_EQ(types.value_count(), static_cast<int>(kTypes.size()) + 1);
}

}  // namespace
}  // namespace attnd::server::attnd_v1

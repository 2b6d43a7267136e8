#include "client/cli/safetensors.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/client/cli/file_under_test.h"
#include "tests/support/seed.h"

namespace attnd::cli {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string TextOf(const Array& array) {
  return {reinterpret_cast<const char*>(array.bytes.data()), array.bytes.size()};
}

// Whether the file is refused as one that is wrong, with a text that has all these parts.
void ExpectRefused(const std::string& file, const std::string& first, const std::string& second = "") {
  const absl::Status status = ParseSafetensors(BytesOf(file)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << file;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(first), HasSubstr(second)));
}

void ExpectRefusedHeader(const std::string& header, const std::string& first, const std::string& second = "") {
  ExpectRefused(SafetensorsFile(header, "12345678"), first, second);
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const std::string file = SafetensorsFile(
      R"({"__metadata__":{"tokens":"[[\"a\"]]"},"b":{"dtype":"BF16","shape":[2,1],"data_offsets":[3,7]},)"
      R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"s":{"dtype":"BOOL","shape":[],"data_offsets":[7,8]}}  )",
      "abcdefgh");
  const auto content = ParseSafetensors(BytesOf(file));
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_THAT(content->metadata, ElementsAre(Pair("tokens", "[[\"a\"]]")));
  ASSERT_EQ(content->tensors.size(), 3);
  EXPECT_EQ(content->tensors.at("a").type, DataType::kUint8);
  EXPECT_EQ(TextOf(content->tensors.at("a")), "abc");
  EXPECT_EQ(content->tensors.at("b").shape, (Shape{2, 1}));
  EXPECT_EQ(TextOf(content->tensors.at("b")), "defg");
  EXPECT_EQ(content->tensors.at("s").shape, Shape{});
}

TEST(Safetensors, KnowsItsTypes) {
  for (const auto& [name, type, size] :
       {std::tuple("F32", DataType::kFloat32, 4), std::tuple("BF16", DataType::kBfloat16, 2),
        std::tuple("F16", DataType::kFloat16, 2), std::tuple("I64", DataType::kInt64, 8),
        std::tuple("I32", DataType::kInt32, 4), std::tuple("BOOL", DataType::kBool, 1),
        std::tuple("U8", DataType::kUint8, 1)}) {
    const std::string file = SafetensorsFile(
        std::string(R"({"x":{"dtype":")") + name + R"(","shape":[1],"data_offsets":[0,)" + std::to_string(size) + "]}}",
        std::string(static_cast<std::size_t>(size), 'x'));
    const auto content = ParseSafetensors(BytesOf(file));
    ASSERT_TRUE(content.ok()) << content.status();
    EXPECT_EQ(content->tensors.at("x").type, type);
  }
  ExpectRefusedHeader(R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})", "\"x\": dtype is F64", "F32");
  ExpectRefusedHeader(R"({"x":{"dtype":8,"shape":[1],"data_offsets":[0,8]}})", "dtype is no string");
}

TEST(Safetensors, AFileMayBeEmptyOfTensors) {
  const auto content = ParseSafetensors(BytesOf(SafetensorsFile("{}", "")));
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_TRUE(content->tensors.empty());
}

TEST(Safetensors, RefusesWhatIsCut) {
  const std::string whole = SafetensorsFile(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  ASSERT_TRUE(ParseSafetensors(BytesOf(whole)).ok());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(ParseSafetensors(BytesOf(whole.substr(0, size))).status().code(), absl::StatusCode::kInvalidArgument);
  }
  ExpectRefused(whole + "9", "end at byte 8 of 9");
  ExpectRefused("", "0 bytes");
}

TEST(Safetensors, RefusesHeadersOfAbsurdSize) {
  for (const std::uint64_t size : {std::uint64_t{100}, std::uint64_t{16} << 20}) {
    ExpectRefused(LittleEndian(size, 8) + "{}", "only 2 follow");
  }
  for (const std::uint64_t size : {(std::uint64_t{16} << 20) + 1, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    ExpectRefused(LittleEndian(size, 8) + "{}", std::to_string(size), "at most 16777216");
  }
}

TEST(Safetensors, RefusesHeadersThatAreNoJsonObject) {
  ExpectRefusedHeader("", "not JSON");
  ExpectRefusedHeader("{", "not JSON");
  ExpectRefusedHeader("{} {}", "not JSON");
  ExpectRefusedHeader("{\"\xff\":1}", "not JSON");
  ExpectRefusedHeader("[]", "a JSON array, expected an object");
  ExpectRefusedHeader("3", "a JSON number");
  ExpectRefusedHeader(std::string(100'000, '['), "not JSON");
}

TEST(Safetensors, RefusesANameThatComesTwice) {
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},)"
                      R"("x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
                      "names \"x\" twice");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8],"shape":[8],"data_offsets":[0,8]}})", "names \"shape\" twice");
}

TEST(Safetensors, RefusesEntriesThatAreNoTensors) {
  ExpectRefusedHeader(R"({"x":3})", "\"x\"");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8]}})", "not exactly dtype, shape and data_offsets");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8],"more":1}})", "not exactly");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":8,"data_offsets":[0,8]}})", "shape is no array");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[-8],"data_offsets":[0,8]}})", "shape holds");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8.0],"data_offsets":[0,8]}})", "shape holds");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":["8"],"data_offsets":[0,8]}})", "shape holds");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,8]}})", "shape holds");
  ExpectRefusedHeader(R"({"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})", "63 bits");
}

TEST(Safetensors, RefusesOffsetsThatDoNotFit) {
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0]}})", "not two numbers");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8,8]}})", "not two numbers");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[8,0]}})", "\"x\"");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", "\"x\"");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[1,9]}})", "\"x\"");
  ExpectRefusedHeader(R"({"x":{"dtype":"U8","shape":[8],"data_offsets":[0,9223372036854775807]}})", "\"x\"");
  ExpectRefusedHeader(R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
                      "8 bytes, expected 12 for float32 [3]");
}

TEST(Safetensors, RefusesOverlapsAndHoles) {
  const auto two = [](const char* first, const char* first_size, const char* second, const char* second_size) {
    return std::string(R"({"a":{"dtype":"U8","shape":[)") + first_size + R"(],"data_offsets":)" + first +
           R"(},"b":{"dtype":"U8","shape":[)" + second_size + R"(],"data_offsets":)" + second + "}}";
  };
  EXPECT_TRUE(ParseSafetensors(BytesOf(SafetensorsFile(two("[0,5]", "5", "[5,8]", "3"), "12345678"))).ok());
  EXPECT_TRUE(ParseSafetensors(BytesOf(SafetensorsFile(two("[0,8]", "8", "[8,8]", "0"), "12345678"))).ok());
  ExpectRefusedHeader(two("[0,5]", "5", "[4,8]", "4"), "overlap at byte 4");
  ExpectRefusedHeader(two("[0,8]", "8", "[0,8]", "8"), "overlap at byte 0");
  ExpectRefusedHeader(two("[0,4]", "4", "[5,8]", "3"), "no tensor owns byte 4");
  ExpectRefusedHeader(two("[1,4]", "3", "[4,8]", "4"), "no tensor owns byte 0");
  ExpectRefusedHeader(two("[0,4]", "4", "[4,7]", "3"), "end at byte 7 of 8");
}

TEST(Safetensors, RefusesMetadataThatIsNotText) {
  ExpectRefusedHeader(R"({"__metadata__":[]})", "__metadata__ is a JSON array");
  ExpectRefusedHeader(R"({"__metadata__":{"a":1}})", "\"a\" is no string");
}

using SafetensorsFileTest = FolderTest;

TEST_F(SafetensorsFileTest, WhatIsWrittenIsReadAgain) {
  const std::string names[] = {"output", "weights \"quoted\"", "ключ"};
  Safetensors content{.tensors = {}, .metadata = {{"tokens", "[[\"a\\n\"]]"}, {"", "empty"}}};
  content.tensors[names[0]] = {DataType::kBfloat16, {1, 3}, BytesOf("abcdef")};
  content.tensors[names[1]] = {DataType::kInt64, {}, BytesOf("12345678")};
  content.tensors[names[2]] = {DataType::kFloat32, {0, 7}, {}};
  ASSERT_TRUE(WriteSafetensors(Path("x.safetensors"), content).ok());

  const std::string file = Read(Path("x.safetensors"));
  const auto again = ParseSafetensors(BytesOf(file));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->metadata, content.metadata);
  ASSERT_EQ(again->tensors.size(), 3);
  for (const std::string& name : names) {
    EXPECT_EQ(again->tensors.at(name).type, content.tensors.at(name).type);
    EXPECT_EQ(again->tensors.at(name).shape, content.tensors.at(name).shape);
    EXPECT_EQ(TextOf(again->tensors.at(name)), TextOf(content.tensors.at(name)));
  }
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  EXPECT_EQ(header_bytes % 8, 0);
}

// Whatever is damaged, nothing that is accepted reaches out of the file.
TEST(Safetensors, DamagedFilesAreRefusedOrStayWithinThemselves) {
  const std::string whole = SafetensorsFile(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
      "12345678");
  test::Random random = test::SeededRandom();
  const auto below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); };
  for (int i = 0; i < 20'000; ++i) {
    std::string file = whole;
    for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
      // Half of them digits, which make other numbers rather than no JSON.
      file[below(file.size())] = static_cast<char>(below(2) == 0 ? '0' + below(10) : below(256));
    }
    const auto content = ParseSafetensors(BytesOf(file));
    if (!content.ok()) {
      EXPECT_EQ(content.status().code(), absl::StatusCode::kInvalidArgument);
      continue;
    }
    std::size_t size = 0;
    for (const auto& [name, array] : content->tensors) {
      size += array.bytes.size();
      EXPECT_GE(reinterpret_cast<const char*>(array.bytes.data()), file.data());
      EXPECT_LE(reinterpret_cast<const char*>(array.bytes.data() + array.bytes.size()), file.data() + file.size());
    }
    EXPECT_LE(size, file.size());
  }
}

}  // namespace
}  // namespace attnd::cli

#include "client/cli/npy.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/client/cli/file_under_test.h"
#include "tests/support/seed.h"

namespace attnd::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kHeader[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }  \n";

std::string TextOf(const Array& array) {
  return {reinterpret_cast<const char*>(array.bytes.data()), array.bytes.size()};
}

void ExpectRefused(const std::string& file, const std::string& first, const std::string& second = "") {
  const absl::Status status = ParseNpy(BytesOf(file)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << file;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(first), HasSubstr(second)));
}

void ExpectRefusedHeader(const std::string& header, const std::string& part) {
  ExpectRefused(NpyFile(1, header, "12345678"), part);
}

TEST(Npy, ReadsVersionsOneToThree) {
  for (const int version : {1, 2, 3}) {
    const std::string file = NpyFile(version, kHeader, "12345678");
    const auto array = ParseNpy(BytesOf(file));
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(array->type, DataType::kFloat32);
    EXPECT_EQ(array->shape, (Shape{2, 1}));
    EXPECT_EQ(TextOf(*array), "12345678");
  }
  ExpectRefused(NpyFile(0, kHeader, "12345678"), "version 0");
  ExpectRefused(NpyFile(4, kHeader, "12345678"), "version 4, expected 1, 2 or 3");
}

TEST(Npy, ReadsShapesOfEveryRank) {
  const auto shape_of = [](const std::string& tuple, std::size_t elements) {
    const std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': " + tuple + ", }";
    const std::string file = NpyFile(1, header, std::string(elements, 'x'));
    const auto array = ParseNpy(BytesOf(file));
    EXPECT_TRUE(array.ok()) << array.status();
    return array.ok() ? array->shape : Shape{-1};
  };
  EXPECT_EQ(shape_of("()", 1), Shape{});
  EXPECT_EQ(shape_of("(3,)", 3), Shape{3});
  EXPECT_EQ(shape_of("(0, 3)", 0), (Shape{0, 3}));
  EXPECT_EQ(shape_of("(1,2,3,4)", 24), (Shape{1, 2, 3, 4}));
}

TEST(Npy, KnowsItsTypes) {
  for (const auto& [name, type, size] :
       {std::tuple("<f4", DataType::kFloat32, 4), std::tuple("<f2", DataType::kFloat16, 2),
        std::tuple("<i8", DataType::kInt64, 8), std::tuple("<i4", DataType::kInt32, 4),
        std::tuple("|b1", DataType::kBool, 1), std::tuple("|u1", DataType::kUint8, 1)}) {
    const std::string file = NpyFile(1, "{'descr': '" + std::string(name) + "', 'fortran_order': False, 'shape': ()}",
                                     std::string(static_cast<std::size_t>(size), 'x'));
    const auto array = ParseNpy(BytesOf(file));
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(array->type, type);
  }
  for (const char* name : {"<f8", ">f4", "|O", "<U3", ""}) {
    ExpectRefusedHeader("{'descr': '" + std::string(name) + "', 'fortran_order': False, 'shape': ()}",
                        "element type is " + std::string(name) + ", this program reads <f4");
  }
}

TEST(Npy, HeadersMayBeWrittenInOtherWays) {
  for (const char* header : {R"({"shape":(2,1),"descr":"<f4","fortran_order":False})",
                             "{ 'fortran_order' : False , 'shape' : ( 2 , 1 ) , 'descr' : '<f4' }"}) {
    EXPECT_TRUE(ParseNpy(BytesOf(NpyFile(1, header, "12345678"))).ok()) << header;
  }
}

TEST(Npy, RefusesFortranOrder) {
  ExpectRefused(NpyFile(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }", "12345678"), "Fortran order",
                "ascontiguousarray");
}

TEST(Npy, RefusesWhatIsCut) {
  for (const int version : {1, 2}) {
    const std::string whole = NpyFile(version, kHeader, "12345678");
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_EQ(ParseNpy(BytesOf(whole.substr(0, size))).status().code(), absl::StatusCode::kInvalidArgument);
    }
    ExpectRefused(whole + "9", "9 bytes of elements, expected 8 for float32 [2, 1]");
  }
}

TEST(Npy, RefusesHeadersOfAbsurdSize) {
  const std::string preamble = NpyFile(2, "", "").substr(0, 8);
  ExpectRefused(preamble + LittleEndian(65536, 4) + "{}", "only 2 follow");
  ExpectRefused(preamble + LittleEndian(65537, 4) + "{}", "65537", "at most 65536");
  ExpectRefused(preamble + LittleEndian(0xffffffff, 4) + "{}", "4294967295");
}

TEST(Npy, RefusesOtherFiles) {
  ExpectRefused("", "does not begin with");
  ExpectRefused("PK\x03\x04 an archive of arrays", "does not begin with");
}

TEST(Npy, RefusesHeadersThatAreNoPlainDictionary) {
  for (const char* header :
       {"", "{", "}", "{}", "{'descr'}", "{'descr': '<f4'", "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), } more",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), 'extra': ()}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 1)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 1)}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': [2, 1]}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, -1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1"}) {
    ExpectRefusedHeader(header, "the header is no dictionary");
  }
  ExpectRefusedHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "the header");
  ExpectRefusedHeader("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", "63 bits");
}

using NpyFileTest = FolderTest;

TEST_F(NpyFileTest, WhatIsWrittenIsReadAgain) {
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{1, 1}, Shape{1, 1, 1, 1}}) {
    ASSERT_TRUE(WriteNpy(Path("x.npy"), {DataType::kFloat32, shape, BytesOf("1234")}).ok());
    const std::string file = Read(Path("x.npy"));
    const auto array = ParseNpy(BytesOf(file));
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(array->type, DataType::kFloat32);
    EXPECT_EQ(array->shape, shape);
    EXPECT_EQ(TextOf(*array), "1234");
    EXPECT_EQ((file.size() - 4) % 64, 0);
  }
}

TEST_F(NpyFileTest, HasNoNameForBfloat16) {
  const absl::Status status = WriteNpy(Path("x.npy"), {DataType::kBfloat16, {2}, BytesOf("1234")});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("bfloat16"), HasSubstr("safetensors")));
}

TEST(Npy, DamagedFilesAreRefusedOrStayWithinThemselves) {
  const std::string whole = NpyFile(1, kHeader, "12345678");
  test::Random random = test::SeededRandom();
  const auto below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); };
  for (int i = 0; i < 20'000; ++i) {
    std::string file = whole;
    for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
      file[below(file.size())] = static_cast<char>(below(2) == 0 ? '0' + below(10) : below(256));
    }
    const auto array = ParseNpy(BytesOf(file));
    if (!array.ok()) continue;
    EXPECT_GE(reinterpret_cast<const char*>(array->bytes.data()), file.data());
    EXPECT_EQ(reinterpret_cast<const char*>(array->bytes.data() + array->bytes.size()), file.data() + file.size());
    EXPECT_EQ(array->bytes.size(), *ArraySizeBytes(array->type, array->shape, "x"));
  }
}

}  // namespace
}  // namespace attnd::cli

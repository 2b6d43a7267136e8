#include "client/cli/file.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>

#include "tests/client/cli/file_under_test.h"

namespace attnd::cli {
namespace {

using testing::HasSubstr;

using FileTest = FolderTest;

std::string TextOf(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST_F(FileTest, IsMappedAsItIs) {
  auto file = MappedFile::Open(Write("x", "abc"));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(TextOf(*file), "abc");
  const MappedFile moved = *std::move(file);
  EXPECT_EQ(TextOf(moved), "abc");
}

TEST_F(FileTest, MayBeEmpty) {
  const auto file = MappedFile::Open(Write("x", ""));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->bytes().empty());
}

TEST_F(FileTest, SaysWhichFileIsMissing) {
  const absl::Status status = MappedFile::Open(Path("missing")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(Path("missing")));
}

TEST_F(FileTest, AFolderIsNone) {
  const absl::Status status = MappedFile::Open(folder()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a regular file"));
}

TEST_F(FileTest, IsWrittenFromPiecesInThePlaceOfAnEarlierOne) {
  Write("x", "an earlier and longer one");
  ASSERT_TRUE(WriteFile(Path("x"), {BytesOf("abc"), BytesOf(""), BytesOf("de")}).ok());
  EXPECT_EQ(Read(Path("x")), "abcde");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder()), {}), 1);
}

// An input that is also the output stays readable to the end.
TEST_F(FileTest, AMappedFileMayBeReplaced) {
  const auto file = MappedFile::Open(Write("x", "abc"));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(WriteFile(Path("x"), {file->bytes(), file->bytes()}).ok());
  EXPECT_EQ(TextOf(*file), "abc");
  EXPECT_EQ(Read(Path("x")), "abcabc");
}

TEST_F(FileTest, SaysWhatCannotBeWrittenAndLeavesNothing) {
  const absl::Status missing = WriteFile(Path("missing/x"), {BytesOf("abc")});
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr(Path("missing/x") + ": cannot be written"));

  std::filesystem::create_directory(Path("folder"));
  EXPECT_FALSE(WriteFile(Path("folder"), {BytesOf("abc")}).ok());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder()), {}), 1);
}

}  // namespace
}  // namespace attnd::cli

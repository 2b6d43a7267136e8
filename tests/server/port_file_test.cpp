#include "server/port_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/support/temporary_folder.h"

namespace attnd::server {
namespace {

TEST(WritePortFile, WritesBothAddressesAndLeavesNothingElse) {
  const test::TemporaryFolder folder;
  const std::string path = folder.Write("ports", "what an earlier server left, which is longer than what comes now");
  ASSERT_TRUE(WritePortFile(path, "unix:/run/a \"b\"", "127.0.0.1:9464").ok());
  std::ifstream file(path);
  const nlohmann::json ports = nlohmann::json::parse(file);
  EXPECT_EQ(ports, (nlohmann::json{{"grpc", "unix:/run/a \"b\""}, {"metrics", "127.0.0.1:9464"}}));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(WritePortFile, SaysWhereItCannot) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("missing/ports");
  const absl::Status status = WritePortFile(path, "127.0.0.1:1", "127.0.0.1:2");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(), "--port-file: cannot write " + path + ": No such file or directory");
}

// A folder cannot be replaced by a file, and the half-made file goes.
TEST(WritePortFile, LeavesNothingWhereItFails) {
  const test::TemporaryFolder folder;
  folder.Write("ports/inside", "");
  EXPECT_FALSE(WritePortFile(folder.path("ports"), "127.0.0.1:1", "127.0.0.1:2").ok());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

}  // namespace
}  // namespace attnd::server

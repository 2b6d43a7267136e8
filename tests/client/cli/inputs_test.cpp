#include "client/cli/inputs.h"

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/client/cli/file_under_test.h"

namespace attnd::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class InputsTest : public FolderTest {
 protected:
  std::string WriteTensors(int count) {
    std::string header = "{";
    for (int i = 0; i < count; ++i) {
      header += (i == 0 ? "\"t" : ",\"t") + std::to_string(100 + i) +
                R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + std::to_string(i) + "," + std::to_string(i + 1) +
                "]}";
    }
    return Write("x.safetensors", SafetensorsFile(header + "}", std::string(static_cast<std::size_t>(count), 'x')));
  }
};

TEST_F(InputsTest, ANameIsATensorOfTheFile) {
  auto inputs = Inputs::Open(WriteTensors(2));
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  const auto array = inputs->Get("t101");
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->shape, Shape{1});
}

TEST_F(InputsTest, ANameThatEndsInNpyIsAFile) {
  const std::string path =
      Write("q.npy", NpyFile(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "1234"));
  auto inputs = Inputs::Open("");
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  const auto array = inputs->Get(path);
  ASSERT_TRUE(array.ok()) << array.status();
  // Other files that are opened later do not move what it borrows.
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(inputs->Get(path).ok());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(array->bytes.data()), 4), "1234");
}

TEST_F(InputsTest, SaysWhichNamesThereAre) {
  auto inputs = Inputs::Open(WriteTensors(3));
  ASSERT_TRUE(inputs.ok());
  const absl::Status status = inputs->Get("query").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(Path("x.safetensors")), HasSubstr("no tensor \"query\", but t100, t101, t102")));
}

TEST_F(InputsTest, ManyNamesAreCut) {
  auto inputs = Inputs::Open(WriteTensors(40));
  ASSERT_TRUE(inputs.ok());
  EXPECT_THAT(std::string(inputs->Get("query").status().message()),
              AllOf(HasSubstr("t111 and 28 others"), Not(HasSubstr("t112"))));
  auto empty = Inputs::Open(Write("empty", SafetensorsFile("{}", "")));
  ASSERT_TRUE(empty.ok());
  EXPECT_THAT(std::string(empty->Get("query").status().message()), HasSubstr("none at all"));
}

TEST_F(InputsTest, WithoutAFileSaysHowToGiveOne) {
  auto inputs = Inputs::Open("");
  ASSERT_TRUE(inputs.ok());
  const absl::Status status = inputs->Get("query").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("\"query\""), HasSubstr("--input"), HasSubstr(".npy")));
}

TEST_F(InputsTest, ErrorsNameTheFileAndCannotSteerTheTerminal) {
  const std::string npy =
      Write("bad.npy", NpyFile(1, "{'descr': '\x1b[31m', 'fortran_order': False, 'shape': ()}", ""));
  auto inputs = Inputs::Open("");
  ASSERT_TRUE(inputs.ok());
  EXPECT_THAT(std::string(inputs->Get(npy).status().message()), AllOf(HasSubstr(npy), Not(HasSubstr("\x1b"))));
  EXPECT_THAT(std::string(inputs->Get(Path("missing.npy")).status().message()), HasSubstr(Path("missing.npy")));
  EXPECT_THAT(std::string(Inputs::Open(Write("bad", "")).status().message()), HasSubstr(Path("bad")));
  EXPECT_THAT(std::string(Inputs::Open(npy).status().message()), HasSubstr("expected a safetensors file"));
}

}  // namespace
}  // namespace attnd::cli

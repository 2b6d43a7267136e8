// The log's lines: what a request brings cannot break out of its own.
#include "server/logging.h"

#include <absl/log/log.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <string>

#include "tests/server/running_server.h"

namespace attnd::server {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST(EscapedForLog, LeavesPlainTextAlone) {
  EXPECT_EQ(EscapedForLog("/attnd.v1.AttentionService/Attend"), "/attnd.v1.AttentionService/Attend");
  EXPECT_EQ(EscapedForLog(""), "");
}

TEST(EscapedForLog, EscapesWhatIsNot) {
  EXPECT_EQ(EscapedForLog("a\nb\rc\td"), "a\\nb\\rc\\td");
  EXPECT_EQ(EscapedForLog("say \"x\" \\ 'y'"), "say \\\"x\\\" \\\\ \\'y\\'");
  EXPECT_EQ(EscapedForLog("\x1b[31mred\x7f"), "\\x1b[31mred\\x7f");
  EXPECT_EQ(EscapedForLog(absl::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(EscapedForLog("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // turns the direction of text
}

TEST(EscapedForLog, LeavesNoByteThatIsNotPrintable) {
  for (int byte = 0; byte < 256; ++byte) {
    for (const char written : EscapedForLog(std::string(1, static_cast<char>(byte)))) {
      EXPECT_TRUE(written >= 0x20 && written < 0x7f) << byte;
    }
  }
}

TEST(EscapedForLog, CutsALongText) {
  EXPECT_EQ(EscapedForLog(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(EscapedForLog(std::string(201, 'x')), std::string(200, 'x') + "...");
}

// What the log holds after a call of a method, which only its caller chose. gRPC lets quotes, backslashes and bytes
// beyond ASCII through.
TEST(Logging, ACallIsOneLineWhateverItsMethod) {
  ::testing::internal::CaptureStderr();
  StartLogging("debug");
  {
    test::RunningServer server;
    test::CallRaw(server.channel(), "/a\"b\\c\xff", "");
    server.ScrapeAtRest();
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr(" debug call method=\"/a\\\"b\\\\c\\xff\" code=12 seconds="));
}

TEST(Logging, SaysWhatLibrariesDoInLinesOfItsOwn) {
  ::testing::internal::CaptureStderr();
  StartLogging("info");
  LOG(ERROR) << "a\nb";
  LOG(INFO) << "of a library, for debugging";
  spdlog::debug("not said");
  spdlog::info("said");
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr(" error library message=\"a\\nb\"\n"));
  EXPECT_THAT(log, Not(HasSubstr("for debugging")));
  EXPECT_THAT(log, Not(HasSubstr("not said")));
  // UTC to the millisecond, the level, the event.
  EXPECT_THAT(log, HasSubstr(" info said\n"));
  EXPECT_THAT(log.substr(0, log.find(' ')),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"));
}

}  // namespace
}  // namespace attnd::server

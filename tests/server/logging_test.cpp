// The log's lines, as text and as JSON: one an event, whatever a field holds.
#include "server/logging.h"

#include <absl/log/log.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/server/running_server.h"

namespace attnd::server {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

constexpr char kTime[] = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z";

// What is written while it lives.
class CapturedLog {
 public:
  CapturedLog(std::string_view level, std::string_view format) {
    ::testing::internal::CaptureStderr();
    StartLogging(level, format);
  }
  ~CapturedLog() {
    if (!ended_) End();
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  std::string End() {
    ended_ = true;
    return ::testing::internal::GetCapturedStderr();
  }

 private:
  bool ended_ = false;
};

std::string Line(std::string_view format, std::initializer_list<LogField> fields) {
  CapturedLog log("info", format);
  Log(LogLevel::kInfo, "event", fields);
  return log.End();
}

// How one text is written, without the key.
std::string AsText(std::string_view text) {
  const std::string line = Line("text", {{"key", text}});
  const std::string before = " info event key=";
  const std::size_t start = line.find(before);
  EXPECT_NE(start, std::string::npos) << line;
  EXPECT_THAT(line, EndsWith("\n"));
  return line.substr(start + before.size(), line.size() - start - before.size() - 1);
}

nlohmann::json AsJson(std::string_view text) { return nlohmann::json::parse(Line("json", {{"key", text}}))["key"]; }

TEST(TextLog, HasTimeLevelEventAndFields) {
  EXPECT_THAT(
      Line("text", {{"count", -3},
                    {"ratio", 1.5},
                    {"whole", 25.0},
                    {"took", absl::Microseconds(1'000'001)},
                    {"word", "127.0.0.1:0"},
                    {"text", "a b"}}),
      MatchesRegex(std::string(kTime) +
                   " info event count=-3 ratio=1\\.5 whole=25 took=1\\.000001 word=127\\.0\\.0\\.1:0 text=\"a b\"\n"));
  EXPECT_THAT(Line("text", {}), MatchesRegex(std::string(kTime) + " info event\n"));
}

TEST(TextLog, QuotesWhatIsNotOneWord) {
  EXPECT_EQ(AsText("brgemm,0.1-x_[::1]:5"), "brgemm,0.1-x_[::1]:5");
  for (const char* text : {"", "a b", "key=value", "/a/b"}) EXPECT_EQ(AsText(text), "\"" + std::string(text) + "\"");
}

TEST(TextLog, EscapesWhatIsNotPlain) {
  EXPECT_EQ(AsText("a\nb\rc\td"), "\"a\\nb\\rc\\td\"");
  EXPECT_EQ(AsText("say \"x\" \\ 'y'"), "\"say \\\"x\\\" \\\\ \\'y\\'\"");
  EXPECT_EQ(AsText("\x1b[31mred\x7f"), "\"\\x1b[31mred\\x7f\"");
  EXPECT_EQ(AsText(std::string_view("\0", 1)), "\"\\x00\"");
  EXPECT_EQ(AsText("\xe2\x80\xae"), "\"\\xe2\\x80\\xae\"");  // turns the direction of text
}

TEST(JsonLog, IsAnObjectWithTypedValues) {
  const std::string line = Line(
      "json",
      {{"count", -3}, {"large", INT64_MAX}, {"ratio", 1.5}, {"took", absl::Microseconds(1'000'001)}, {"text", "a b"}});
  EXPECT_THAT(line,
              MatchesRegex("\\{\"time\":\"" + std::string(kTime) +
                           "\",\"level\":\"info\",\"event\":\"event\",\"count\":-3,"
                           "\"large\":9223372036854775807,\"ratio\":1\\.5,\"took\":1\\.000001,\"text\":\"a b\"\\}\n"));
  EXPECT_THAT(Line("json", {}), EndsWith("\"level\":\"info\",\"event\":\"event\"}\n"));
}

TEST(JsonLog, GivesTextBackAsItWas) {
  for (const std::string& text :
       {std::string("a\nb\rc\td"), std::string("say \"x\" \\ 'y'"), std::string("\x1b[31m\x7f"), std::string("\0", 1),
        std::string("\xe2\x80\xae\xf0\x9f\x98\x80"), std::string()}) {
    EXPECT_EQ(AsJson(text), text);
  }
}

TEST(JsonLog, ReplacesWhatIsNotUtf8) { EXPECT_EQ(AsJson("a\xff\xc3"), "a\xef\xbf\xbd\xef\xbf\xbd"); }

TEST(AnyLog, LeavesNoByteThatIsNotPrintable) {
  for (const char* format : {"text", "json"}) {
    for (int byte = 0; byte < 256; ++byte) {
      const std::string line = Line(format, {{"key", std::string(1, static_cast<char>(byte))}});
      for (const char written : line.substr(0, line.size() - 1)) {
        EXPECT_TRUE(written >= 0x20 && written < 0x7f) << format << " " << byte;
      }
    }
  }
}

TEST(AnyLog, CutsALongText) {
  EXPECT_EQ(AsText(std::string(500, 'x')), std::string(500, 'x'));
  EXPECT_EQ(AsText(std::string(501, 'x')), std::string(500, 'x') + "...");
  EXPECT_EQ(AsJson(std::string(501, 'x')), std::string(500, 'x') + "...");
}

TEST(AnyLog, SaysWhatIsAtItsLevelAndAbove) {
  const std::vector<std::string> levels = {"debug", "info", "warning", "error"};
  for (std::size_t least = 0; least < levels.size(); ++least) {
    for (const char* format : {"text", "json"}) {
      CapturedLog log(levels[least], format);
      Log(LogLevel::kDebug, "event");
      Log(LogLevel::kInfo, "event");
      Log(LogLevel::kWarning, "event");
      Log(LogLevel::kError, "event");
      const std::string lines = log.End();
      for (std::size_t level = 0; level < levels.size(); ++level) {
        EXPECT_EQ(lines.find(levels[level]) != std::string::npos, level >= least) << lines;
      }
    }
  }
}

// What the log holds after a call of a method, which only its caller chose. gRPC lets quotes, backslashes and bytes
// beyond ASCII through.
TEST(TextLog, ACallIsOneLineWhateverItsMethod) {
  CapturedLog log("debug", "text");
  {
    test::RunningServer server;
    test::CallRaw(server.channel(), "/a\"b\\c\xff", "");
    server.ScrapeAtRest();
  }
  EXPECT_THAT(log.End(), HasSubstr(" debug call method=\"/a\\\"b\\\\c\\xff\" code=UNIMPLEMENTED seconds="));
}

TEST(TextLog, SaysWhatLibrariesDoInLinesOfItsOwn) {
  CapturedLog log("info", "text");
  LOG(ERROR) << "a\nb";
  LOG(INFO) << "of a library, for debugging";
  const std::string lines = log.End();
  EXPECT_THAT(lines, HasSubstr(" error library message=\"a\\nb\"\n"));
  EXPECT_THAT(lines, Not(HasSubstr("for debugging")));
}

TEST(JsonLog, SaysWhatLibrariesDoInObjectsOfItsOwn) {
  CapturedLog log("info", "json");
  LOG(WARNING) << "a\nb";
  const auto line = nlohmann::json::parse(log.End());
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["event"], "library");
  EXPECT_EQ(line["message"], "a\nb");
}

}  // namespace
}  // namespace attnd::server

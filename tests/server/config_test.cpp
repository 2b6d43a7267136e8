#include "server/config.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "server/version.h"
#include "tests/support/temporary_folder.h"

namespace attnd::server {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::int64_t kMebibyte = 1 << 20;

absl::StatusOr<CommandLine> Parse(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv = {"attnd"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  return ParseCommandLine(static_cast<int>(argv.size()), argv.data());
}

Config ParseWell(const std::vector<std::string>& arguments) {
  const absl::StatusOr<CommandLine> parsed = Parse(arguments);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() ? parsed->config : Config{};
}

// What is said of wrong ones; always one line.
std::string Error(const std::vector<std::string>& arguments) {
  const absl::StatusOr<CommandLine> parsed = Parse(arguments);
  if (parsed.ok()) return "accepted";
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
  std::string text(parsed.status().message());
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  return text;
}

// Sets a variable of the environment for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
};

TEST(Config, DefaultsListenOnLoopbackOnly) {
  const Config config = ParseWell({});
  EXPECT_EQ(config.listen, "127.0.0.1:50051");
  EXPECT_EQ(config.metrics_listen, "127.0.0.1:9464");
  EXPECT_EQ(config.port_file, "");
  EXPECT_EQ(config.worker_count, 0);
  EXPECT_EQ(config.max_connection_age_seconds, 0);
  EXPECT_EQ(config.drain_delay_seconds, 0);
  EXPECT_EQ(config.grace_period_seconds, 25);
  EXPECT_EQ(config.log_level, "info");
  EXPECT_EQ(config.log_format, "text");
  EXPECT_GT(config.max_in_flight_bytes, 0);
  EXPECT_EQ(config.max_message_bytes, std::min(256 * kMebibyte, config.max_in_flight_bytes));
}

TEST(Config, TakesEveryFlag) {
  const Config config = ParseWell({"--listen",
                                   "[::1]:0",
                                   "--metrics-listen=0.0.0.0:65535",
                                   "--port-file",
                                   "/p",
                                   "--workers",
                                   "3",
                                   "--max-message-bytes",
                                   "64MiB",
                                   "--max-in-flight-bytes",
                                   "1GiB",
                                   "--drain-delay-seconds",
                                   "1.5",
                                   "--grace-period-seconds",
                                   "0",
                                   "--log-level",
                                   "debug",
                                   "--log-format",
                                   "json",
                                   "--max-connection-age-seconds",
                                   "2.5"});
  EXPECT_EQ(config.listen, "[::1]:0");
  EXPECT_EQ(config.metrics_listen, "0.0.0.0:65535");
  EXPECT_EQ(config.port_file, "/p");
  EXPECT_EQ(config.worker_count, 3);
  EXPECT_EQ(config.max_message_bytes, 64 * kMebibyte);
  EXPECT_EQ(config.max_in_flight_bytes, 1024 * kMebibyte);
  EXPECT_EQ(config.drain_delay_seconds, 1.5);
  EXPECT_EQ(config.grace_period_seconds, 0);
  EXPECT_EQ(config.max_connection_age_seconds, 2.5);
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.log_format, "json");
}

TEST(Config, TakesAddressesOfEveryKind) {
  for (const char* address : {"127.0.0.1:0", "localhost:50051", "[::]:1", "unix:/run/attnd.sock", "unix:relative"}) {
    EXPECT_EQ(ParseWell({"--listen", address}).listen, address);
  }
}

TEST(Config, TakesSizesWithUnits) {
  const std::vector<std::pair<std::string, std::int64_t>> sizes = {
      {"4096", 4096}, {"1KiB", 1024}, {"2MiB", 2 * kMebibyte}, {"3MB", 3'000'000}, {"1 GiB", 1024 * kMebibyte}};
  for (const auto& [text, bytes] : sizes) {
    EXPECT_EQ(ParseWell({"--max-message-bytes", text, "--max-in-flight-bytes", "2GiB"}).max_message_bytes, bytes)
        << text;
  }
}

TEST(Config, TakesEveryVariableOfTheEnvironment) {
  const std::vector<std::pair<const char*, std::string>> settings = {{"ATTND_LISTEN", "unix:/a"},
                                                                     {"ATTND_METRICS_LISTEN", "127.0.0.1:2"},
                                                                     {"ATTND_PORT_FILE", "/b"},
                                                                     {"ATTND_WORKERS", "5"},
                                                                     {"ATTND_MAX_MESSAGE_BYTES", "1MiB"},
                                                                     {"ATTND_MAX_IN_FLIGHT_BYTES", "2MiB"},
                                                                     {"ATTND_DRAIN_DELAY_SECONDS", "6"},
                                                                     {"ATTND_GRACE_PERIOD_SECONDS", "7"},
                                                                     {"ATTND_LOG_LEVEL", "error"},
                                                                     {"ATTND_LOG_FORMAT", "json"},
                                                                     {"ATTND_MAX_CONNECTION_AGE_SECONDS", "8"}};
  std::vector<std::unique_ptr<Variable>> variables;
  for (const auto& [name, value] : settings) variables.push_back(std::make_unique<Variable>(name, value));
  const Config config = ParseWell({});
  EXPECT_EQ(config.listen, "unix:/a");
  EXPECT_EQ(config.metrics_listen, "127.0.0.1:2");
  EXPECT_EQ(config.port_file, "/b");
  EXPECT_EQ(config.worker_count, 5);
  EXPECT_EQ(config.max_message_bytes, kMebibyte);
  EXPECT_EQ(config.max_in_flight_bytes, 2 * kMebibyte);
  EXPECT_EQ(config.drain_delay_seconds, 6);
  EXPECT_EQ(config.grace_period_seconds, 7);
  EXPECT_EQ(config.max_connection_age_seconds, 8);
  EXPECT_EQ(config.log_level, "error");
  EXPECT_EQ(config.log_format, "json");
}

TEST(Config, TakesAFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.Write("attnd.conf",
                                        "# What this server does.\n"
                                        "listen = \"unix:/a b\"\n"
                                        "workers = 4\n"
                                        "max-in-flight-bytes = 512MiB\n"
                                        "\n"
                                        "drain-delay-seconds = 2.5\n"
                                        "log-level = debug\n"
                                        "log-format = json\n");
  const Config config = ParseWell({"--config", path});
  EXPECT_EQ(config.listen, "unix:/a b");
  EXPECT_EQ(config.worker_count, 4);
  EXPECT_EQ(config.max_in_flight_bytes, 512 * kMebibyte);
  EXPECT_EQ(config.max_message_bytes, 256 * kMebibyte);
  EXPECT_EQ(config.drain_delay_seconds, 2.5);
  EXPECT_EQ(config.log_level, "debug");
  EXPECT_EQ(config.log_format, "json");
  const Variable variable("ATTND_CONFIG", path);
  EXPECT_EQ(ParseWell({}).worker_count, 4);
}

TEST(Config, TheCommandLineWinsOverTheEnvironmentAndThatOverTheFile) {
  const test::TemporaryFolder folder;
  const std::string path =
      folder.Write("attnd.conf", "workers = 1\ngrace-period-seconds = 1\ndrain-delay-seconds = 1\n");
  const Variable workers("ATTND_WORKERS", "2");
  const Variable grace_period("ATTND_GRACE_PERIOD_SECONDS", "2");
  const Config config = ParseWell({"--config", path, "--workers", "3"});
  EXPECT_EQ(config.worker_count, 3);
  EXPECT_EQ(config.grace_period_seconds, 2);
  EXPECT_EQ(config.drain_delay_seconds, 1);
}

TEST(Config, SaysWhatIsWrongWithAFlag) {
  const std::string expected = "expected HOST:PORT with a port from 0 to 65535";
  for (const char* address : {"x", ":50", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:http", ""}) {
    EXPECT_EQ(Error({"--listen", address}), absl::StrCat("--listen: found \"", address, "\", ", expected));
    EXPECT_EQ(Error({"--metrics-listen", address}),
              absl::StrCat("--metrics-listen: found \"", address, "\", ", expected));
  }
  EXPECT_EQ(Error({"--listen", "::1:50"}),
            "--listen: found \"::1:50\", expected an IPv6 address in brackets, [::1]:PORT");
  EXPECT_EQ(Error({"--listen", "unix:"}), "--listen: found \"unix:\", expected unix:PATH");
  EXPECT_EQ(Error({"--metrics-listen", "unix:/a"}), "--metrics-listen: found \"unix:/a\", " + expected);
  for (const char* count : {"-1", "4097", "x", "1.5"}) {
    EXPECT_EQ(Error({"--workers", count}), absl::StrCat("--workers: Value ", count, " not in range [0 - 4096]"));
  }
  for (const char* seconds : {"-1", "nan", "x", "86401", "1e9"}) {
    EXPECT_EQ(Error({"--drain-delay-seconds", seconds}),
              absl::StrCat("--drain-delay-seconds: found \"", seconds, "\", expected 0 to 86400 seconds"));
    EXPECT_EQ(Error({"--grace-period-seconds", seconds}),
              absl::StrCat("--grace-period-seconds: found \"", seconds, "\", expected 0 to 86400 seconds"));
  }
  EXPECT_EQ(Error({"--log-level", "loud"}), "--log-level: loud not in {debug,info,warning,error}");
  EXPECT_EQ(Error({"--log-format", "xml"}), "--log-format: xml not in {text,json}");
  for (const char* size : {"0", "2147483648", "3GiB"}) {
    EXPECT_THAT(Error({"--max-message-bytes", size}), EndsWith("not in range [1 - 2147483647]")) << size;
  }
  for (const char* size : {"-1", "12xB", "x", "99999999999GiB"}) {
    EXPECT_THAT(Error({"--max-message-bytes", size}), StartsWith("--max-message-bytes: ")) << size;
    EXPECT_THAT(Error({"--max-in-flight-bytes", size}), StartsWith("--max-in-flight-bytes: ")) << size;
  }
}

TEST(Config, SaysWhatItDoesNotKnow) {
  EXPECT_THAT(Error({"--bogus", "3"}), HasSubstr("--bogus"));
  EXPECT_THAT(Error({"extra"}), HasSubstr("extra"));
  EXPECT_THAT(Error({"--workers"}), StartsWith("--workers: "));
}

TEST(Config, SaysWhatIsWrongWithAVariableUnlessAFlagWins) {
  const Variable variable("ATTND_WORKERS", "many");
  EXPECT_EQ(Error({}), "ATTND_WORKERS: --workers: Value many not in range [0 - 4096]");
  EXPECT_EQ(ParseWell({"--workers", "2"}).worker_count, 2);
}

TEST(Config, SaysWhatIsWrongWithAFile) {
  const test::TemporaryFolder folder;
  EXPECT_THAT(Error({"--config", folder.path("missing")}),
              StartsWith("--config: " + folder.path("missing") + " was not readable"));
  const std::string path = folder.path("attnd.conf");
  for (const std::string text : {"worker = 1", "[section]\nworkers = 1", "config = other", "help = true"}) {
    folder.Write("attnd.conf", text + "\n");
    EXPECT_THAT(Error({"--config", path}), StartsWith(path + ": no such setting: ")) << text;
  }
  folder.Write("attnd.conf", "workers = many\n");
  EXPECT_EQ(Error({"--config", path}), path + ": --workers: Value many not in range [0 - 4096]");
}

TEST(ResolveSizes, DerivesWhatIsNotGiven) {
  Config config;
  ASSERT_TRUE(ResolveSizes(config, 8192 * kMebibyte).ok());
  EXPECT_EQ(config.max_in_flight_bytes, 4096 * kMebibyte);
  EXPECT_EQ(config.max_message_bytes, 256 * kMebibyte);

  Config small;
  ASSERT_TRUE(ResolveSizes(small, 100 * kMebibyte).ok());
  EXPECT_EQ(small.max_in_flight_bytes, 50 * kMebibyte);
  EXPECT_EQ(small.max_message_bytes, 50 * kMebibyte);

  Config given;
  given.max_in_flight_bytes = 10;
  given.max_message_bytes = 10;
  ASSERT_TRUE(ResolveSizes(given, 1).ok());
  EXPECT_EQ(given.max_in_flight_bytes, 10);
}

TEST(ResolveSizes, RefusesAMessageLargerThanAllInFlight) {
  Config config;
  config.max_message_bytes = 11;
  config.max_in_flight_bytes = 10;
  EXPECT_EQ(ResolveSizes(config, 1000).message(),
            "--max-message-bytes: found 11, expected at most --max-in-flight-bytes, which is 10");
  config.max_in_flight_bytes = 0;
  EXPECT_EQ(
      ResolveSizes(config, 20).message(),
      "--max-message-bytes: found 11, expected at most --max-in-flight-bytes, which is 10, half of the memory that "
      "this process may use");
}

TEST(Help, NamesEverySettingWithItsVariableAndDefault) {
  const absl::StatusOr<CommandLine> parsed = Parse({"--help"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const std::string& help = parsed->text_to_print;
  for (const char* setting :
       {"--listen HOST:PORT [127.0.0.1:50051]  (Env:ATTND_LISTEN)",
        "--metrics-listen IP:PORT [127.0.0.1:9464]  (Env:ATTND_METRICS_LISTEN)",
        "--port-file PATH (Env:ATTND_PORT_FILE)", "--workers COUNT [0]  (Env:ATTND_WORKERS)",
        "--max-message-bytes SIZE [256MiB]  (Env:ATTND_MAX_MESSAGE_BYTES)",
        "--max-in-flight-bytes SIZE [half of the memory]  (Env:ATTND_MAX_IN_FLIGHT_BYTES)",
        "--drain-delay-seconds SECONDS [0]  (Env:ATTND_DRAIN_DELAY_SECONDS)",
        "--grace-period-seconds SECONDS [25]  (Env:ATTND_GRACE_PERIOD_SECONDS)",
        "--log-level LEVEL [info]  (Env:ATTND_LOG_LEVEL)", "--log-format FORMAT [text]  (Env:ATTND_LOG_FORMAT)",
        "--config PATH (Env:ATTND_CONFIG)", "--version"}) {
    EXPECT_THAT(help, HasSubstr(setting));
  }
  for (const absl::string_view line : absl::StrSplit(help, '\n')) EXPECT_LE(line.size(), 130u) << line;
}

TEST(Help, VersionIsThePrograms) {
  const absl::StatusOr<CommandLine> parsed = Parse({"--version"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->text_to_print, absl::StrCat("attnd ", std::string(Version()), "\n"));
}

}  // namespace
}  // namespace attnd::server

#include "server/config.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/string_view.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "server/memory_limit.h"
#include "server/version.h"

namespace attnd::server {
namespace {

constexpr std::int64_t kMaxMessageBytesLimit = INT32_MAX;
constexpr double kMaxSeconds = 24 * 60 * 60;
constexpr int kMaxWorkers = 4096;
// A pebibyte, so that no sum of sizes that fit it, and of what packing makes of them, leaves 63 bits.
constexpr std::int64_t kMaxInFlightBytesLimit = std::int64_t{1} << 50;
constexpr double kMinStallSeconds = 0.01;

constexpr char kDescription[] =
    "attnd computes attention, softmax(Q*K^T*scale + mask)*V, as a gRPC service.\n"
    "\n"
    "Settings come from the command line, else from the environment variable that stands beside each, else\n"
    "from the file that --config names, else from the defaults shown.";

constexpr char kFooter[] =
    "Sizes are numbers of bytes or have a unit: 64MiB, 1GiB, 500MB.\n"
    "A configuration file has one setting a line, named as on the command line: workers = 4\n"
    "SIGTERM and SIGINT end the server after --drain-delay-seconds and --grace-period-seconds; a second one\n"
    "ends it at once. Exit status: 0 after a clean end, 1 when it cannot serve, 2 for a wrong setting.";

// Nothing for an address that can be listened at, else what is wrong with it.
std::string CheckHostAndPort(const std::string& address) {
  constexpr char kExpected[] = "expected HOST:PORT with a port from 0 to 65535";
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0) return absl::StrCat("found \"", address, "\", ", kExpected);
  const absl::string_view host = absl::string_view(address).substr(0, colon);
  const absl::string_view port = absl::string_view(address).substr(colon + 1);
  const bool bracketed = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  if (!bracketed && host.find(':') != absl::string_view::npos) {
    return absl::StrCat("found \"", address, "\", expected an IPv6 address in brackets, [::1]:PORT");
  }
  int number = 0;
  const bool is_number = !port.empty() && std::all_of(port.begin(), port.end(), absl::ascii_isdigit) &&
                         absl::SimpleAtoi(port, &number) && number <= 65535;
  return is_number ? "" : absl::StrCat("found \"", address, "\", ", kExpected);
}

std::string CheckListenAddress(const std::string& address) {
  if (!address.starts_with("unix:")) return CheckHostAndPort(address);
  return address.size() > absl::string_view("unix:").size() ? "" : "found \"unix:\", expected unix:PATH";
}

// What a user gives for a time; no other spelling of a number, and no NaN.
CLI::Validator SecondsValidator() {
  return CLI::Validator(
      [](const std::string& text) {
        double seconds = 0;
        const bool valid = absl::SimpleAtod(text, &seconds) && seconds >= 0 && seconds <= kMaxSeconds;
        return valid ? std::string() : absl::StrCat("found \"", text, "\", expected 0 to ", kMaxSeconds, " seconds");
      },
      "SECONDS");
}

void AddListeningOptions(CLI::App& app, Config& config) {
  app.add_option("--listen", config.listen, "Where gRPC is served, or unix:PATH. Port 0: the system chooses one")
      ->envname("ATTND_LISTEN")
      ->type_name("HOST:PORT")
      ->check(CLI::Validator(CheckListenAddress, ""))
      ->capture_default_str()
      ->group("Listening");
  app.add_option("--metrics-listen", config.metrics_listen,
                 "Where Prometheus finds /metrics, as IP:PORT. Port 0: the system chooses one")
      ->envname("ATTND_METRICS_LISTEN")
      ->type_name("IP:PORT")
      ->check(CLI::Validator(CheckHostAndPort, ""))
      ->capture_default_str()
      ->group("Listening");
  app.add_option("--port-file", config.port_file,
                 "Written once the server serves: {\"grpc\": \"HOST:PORT\", \"metrics\": \"IP:PORT\"}")
      ->envname("ATTND_PORT_FILE")
      ->type_name("PATH")
      ->group("Listening");
}

void AddLimitOptions(CLI::App& app, Config& config) {
  app.add_option("--workers", config.worker_count, "Threads that compute. 0: as many as CPUs this process may use")
      ->envname("ATTND_WORKERS")
      ->type_name("COUNT")
      ->check(CLI::Range(0, kMaxWorkers).description(""))
      ->capture_default_str()
      ->group("Limits");
  app.add_option("--max-message-bytes", config.max_message_bytes,
                 "Largest request, and largest answer, up to 2147483647")
      ->envname("ATTND_MAX_MESSAGE_BYTES")
      ->type_name("SIZE")
      ->default_str("256MiB")
      ->check(CLI::Range(std::int64_t{1}, kMaxMessageBytesLimit).description(""))
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true).description(""))
      ->group("Limits");
  app.add_option("--max-in-flight-bytes", config.max_in_flight_bytes,
                 "Most that all requests in flight hold together; over it they are refused")
      ->envname("ATTND_MAX_IN_FLIGHT_BYTES")
      ->type_name("SIZE")
      ->default_str("half of the memory")
      ->check(CLI::Range(std::int64_t{1}, kMaxInFlightBytesLimit).description(""))
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true).description(""))
      ->group("Limits");
  app.add_option("--stream-stall-seconds", config.stream_stall_seconds,
                 "How long a stream may stand still: no part of a request comes, or no answer is taken")
      ->envname("ATTND_STREAM_STALL_SECONDS")
      ->type_name("SECONDS")
      ->check(CLI::Range(kMinStallSeconds, kMaxSeconds).description(""))
      ->capture_default_str()
      ->group("Limits");
  app.add_option("--max-connection-age-seconds", config.max_connection_age_seconds,
                 "After which clients are told to connect anew, and so look for new servers. 0: never")
      ->envname("ATTND_MAX_CONNECTION_AGE_SECONDS")
      ->type_name("SECONDS")
      ->check(SecondsValidator().description(""))
      ->capture_default_str()
      ->group("Limits");
}

void AddShutdownOptions(CLI::App& app, Config& config) {
  app.add_option("--drain-delay-seconds", config.drain_delay_seconds,
                 "After SIGTERM, how long calls are still accepted while health says NOT_SERVING")
      ->envname("ATTND_DRAIN_DELAY_SECONDS")
      ->type_name("SECONDS")
      ->check(SecondsValidator().description(""))
      ->capture_default_str()
      ->group("Shutting down");
  app.add_option("--grace-period-seconds", config.grace_period_seconds,
                 "After that, how long calls under way may take to finish")
      ->envname("ATTND_GRACE_PERIOD_SECONDS")
      ->type_name("SECONDS")
      ->check(SecondsValidator().description(""))
      ->capture_default_str()
      ->group("Shutting down");
}

void AddOtherOptions(CLI::App& app, Config& config, std::string& config_file) {
  app.add_option("--log-level", config.log_level, "debug (a line a request), info, warning or error")
      ->envname("ATTND_LOG_LEVEL")
      ->type_name("LEVEL")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}).description(""))
      ->capture_default_str()
      ->group("Other");
  app.add_option("--log-format", config.log_format, "text, or json: one object a line")
      ->envname("ATTND_LOG_FORMAT")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->capture_default_str()
      ->group("Other");
  app.add_option("--config", config_file, "File with settings")
      ->envname("ATTND_CONFIG")
      ->type_name("PATH")
      ->group("Other");
  app.set_help_flag("--help,-h", "Show this and exit")->group("Other");
  app.set_version_flag("--version", "attnd " + std::string(Version()), "Show the version and exit")->group("Other");
}

// Gives an option what stands in `source`, which an error names.
void Give(CLI::Option& option, const std::vector<std::string>& values, const std::string& source) {
  try {
    option.add_result(values);
    option.run_callback();
  } catch (const CLI::Error& error) {
    throw CLI::ValidationError(source, error.what());
  }
}

// CLI11 passes over a variable whose value is wrong in silence; this is where it is heard.
void RefuseWrongVariables(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_envname();
    const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
    if (value == nullptr || *value == '\0' || option->count() > 0) continue;
    Give(*option, {value}, name);
  }
}

// Gives the options that neither command line nor environment set what the file says. CLI11's own reading of files
// would let the file win over the environment.
void ApplyFile(CLI::App& app, const std::string& path) {
  for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_file(path)) {
    // CLI11 marks where a section starts and ends by items of these names.
    CLI::Option* option = item.parents.empty() ? app.get_option_no_throw("--" + item.name) : nullptr;
    const bool is_setting = option != nullptr && option->get_items_expected_max() > 0 && item.name != "config";
    if (!is_setting) throw CLI::ConfigError("no such setting: " + item.fullname());
    if (option->count() > 0) continue;
    Give(*option, item.inputs, path);
  }
}

std::string OneLine(absl::string_view text) {
  return absl::StrReplaceAll(absl::StripAsciiWhitespace(text), {{"\n", " "}, {"\r", " "}});
}

}  // namespace

absl::Status ResolveSizes(Config& config, std::int64_t available_memory_bytes) {
  const bool is_derived = config.max_in_flight_bytes == 0;
  if (is_derived) config.max_in_flight_bytes = std::max<std::int64_t>(1, available_memory_bytes / 2);
  if (config.max_message_bytes == 0) {
    config.max_message_bytes = std::min(kDefaultMaxMessageBytes, config.max_in_flight_bytes);
  }
  if (config.max_message_bytes <= config.max_in_flight_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--max-message-bytes: found ", config.max_message_bytes, ", expected at most --max-in-flight-bytes, which is ",
      config.max_in_flight_bytes, is_derived ? ", half of the memory that this process may use" : ""));
}

absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv) {
  CommandLine result;
  std::string config_file;
  CLI::App app(kDescription, "attnd");
  app.get_formatter()->column_width(44);
  app.footer(kFooter);
  AddListeningOptions(app, result.config);
  AddLimitOptions(app, result.config);
  AddShutdownOptions(app, result.config);
  AddOtherOptions(app, result.config, config_file);
  try {
    app.parse(argc, argv);
    RefuseWrongVariables(app);
    if (!config_file.empty()) ApplyFile(app, config_file);
  } catch (const CLI::CallForHelp&) {
    result.text_to_print = app.help();
    return result;
  } catch (const CLI::CallForVersion& version) {
    result.text_to_print = absl::StrCat(version.what(), "\n");
    return result;
  } catch (const CLI::FileError& error) {
    return absl::InvalidArgumentError(absl::StrCat("--config: ", OneLine(error.what())));
  } catch (const CLI::ConfigError& error) {
    return absl::InvalidArgumentError(absl::StrCat(config_file, ": ", OneLine(error.what())));
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(OneLine(error.what()));
  }
  if (absl::Status status = ResolveSizes(result.config, AvailableMemoryBytes()); !status.ok()) return status;
  return result;
}

}  // namespace attnd::server

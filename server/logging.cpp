#include "server/logging.h"

#include <absl/base/log_severity.h>
#include <absl/log/globals.h>
#include <absl/log/initialize.h>
#include <absl/log/log_entry.h>
#include <absl/log/log_sink.h>
#include <absl/log/log_sink_registry.h>
#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

// Since release 1.66 gRPC logs through abseil and has no hook of its own.
#if GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR < 66
#include <grpc/support/log.h>
#define ATTND_GRPC_HAS_OWN_LOG 1
#endif

namespace attnd::server {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kMaxTextBytes = 500;

// What spdlog puts around an event: in JSON, the object's beginning, whose end the event brings.
constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr char kJsonPattern[] = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v)";

std::atomic<bool> writes_json = false;

std::string Cut(std::string_view text) {
  return text.size() <= kMaxTextBytes ? std::string(text)
                                      : absl::StrCat(std::string(text.substr(0, kMaxTextBytes)), "...");
}

bool IsWord(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("_.,:-[]").find(c) != std::string_view::npos;
  });
}

struct TextValue {
  std::string operator()(std::int64_t number) const { return absl::StrCat(number); }
  std::string operator()(double number) const { return absl::StrCat(number); }
  std::string operator()(absl::Duration time) const { return absl::StrFormat("%.6f", absl::ToDoubleSeconds(time)); }
  std::string operator()(std::string_view text) const {
    const std::string cut = Cut(text);
    return IsWord(cut) ? cut : absl::StrCat("\"", absl::CHexEscape(cut), "\"");
  }
};

struct JsonValue {
  ordered_json operator()(std::int64_t number) const { return number; }
  ordered_json operator()(double number) const { return number; }
  ordered_json operator()(absl::Duration time) const { return std::round(absl::ToDoubleSeconds(time) * 1e6) / 1e6; }
  ordered_json operator()(std::string_view text) const { return Cut(text); }
};

std::string AsText(std::string_view event, std::initializer_list<LogField> fields) {
  std::string line(event);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", std::string(field.key), "=", std::visit(TextValue(), field.value));
  }
  return line;
}

// Without the opening brace, which is the pattern's.
std::string AsJson(std::string_view event, std::initializer_list<LogField> fields) {
  ordered_json object = {{"event", event}};
  for (const LogField& field : fields) object[std::string(field.key)] = std::visit(JsonValue(), field.value);
  return object.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/true, ordered_json::error_handler_t::replace).substr(1);
}

spdlog::level::level_enum SpdlogLevel(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      break;
  }
  return spdlog::level::err;
}

class AbseilSink final : public absl::LogSink {
 public:
  void Send(const absl::LogEntry& entry) override {
    Log(Level(entry.log_severity()), "library", {{"message", std::string(entry.text_message())}});
  }

 private:
  static LogLevel Level(absl::LogSeverity severity) {
    switch (severity) {
      case absl::LogSeverity::kInfo:
        return LogLevel::kDebug;
      case absl::LogSeverity::kWarning:
        return LogLevel::kWarning;
      default:
        return LogLevel::kError;
    }
  }
};

#ifdef ATTND_GRPC_HAS_OWN_LOG
void LogForGrpc(gpr_log_func_args* args) {
  const LogLevel level = args->severity == GPR_LOG_SEVERITY_ERROR  ? LogLevel::kError
                         : args->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kInfo
                                                                   : LogLevel::kDebug;
  Log(level, "grpc", {{"message", args->message}});
}
#endif

}  // namespace

void StartLogging(std::string_view level, std::string_view format) {
  writes_json = format == "json";
  auto logger = std::make_shared<spdlog::logger>("attnd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(writes_json ? kJsonPattern : kTextPattern, spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(std::string(level)));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));

  static AbseilSink* const sink = [] {
    absl::InitializeLog();
    absl::SetStderrThreshold(absl::LogSeverityAtLeast::kInfinity);
    auto* added = new AbseilSink;  // abseil may log until the process's end
    absl::AddLogSink(added);
    return added;
  }();
  static_cast<void>(sink);
#ifdef ATTND_GRPC_HAS_OWN_LOG
  gpr_set_log_function(LogForGrpc);
#endif
}

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  const spdlog::level::level_enum spdlog_level = SpdlogLevel(level);
  if (!spdlog::should_log(spdlog_level)) return;
  spdlog::log(spdlog_level, writes_json ? AsJson(event, fields) : AsText(event, fields));
}

}  // namespace attnd::server

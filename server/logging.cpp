#include "server/logging.h"

#include <absl/base/log_severity.h>
#include <absl/log/globals.h>
#include <absl/log/initialize.h>
#include <absl/log/log_entry.h>
#include <absl/log/log_sink.h>
#include <absl/log/log_sink_registry.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstddef>
#include <memory>

// Since release 1.66 gRPC logs through abseil and has no hook of its own.
#if GRPC_CPP_VERSION_MAJOR == 1 && GRPC_CPP_VERSION_MINOR < 66
#include <grpc/support/log.h>
#define ATTND_GRPC_HAS_OWN_LOG 1
#endif

namespace attnd::server {
namespace {

constexpr std::size_t kMaxEscapedBytes = 200;

class AbseilSink final : public absl::LogSink {
 public:
  void Send(const absl::LogEntry& entry) override {
    spdlog::log(Level(entry.log_severity()), "library message=\"{}\"", EscapedForLog(entry.text_message()));
  }

 private:
  static spdlog::level::level_enum Level(absl::LogSeverity severity) {
    switch (severity) {
      case absl::LogSeverity::kInfo:
        return spdlog::level::debug;
      case absl::LogSeverity::kWarning:
        return spdlog::level::warn;
      default:
        return spdlog::level::err;
    }
  }
};

#ifdef ATTND_GRPC_HAS_OWN_LOG
void LogForGrpc(gpr_log_func_args* args) {
  const spdlog::level::level_enum level = args->severity == GPR_LOG_SEVERITY_ERROR  ? spdlog::level::err
                                          : args->severity == GPR_LOG_SEVERITY_INFO ? spdlog::level::info
                                                                                    : spdlog::level::debug;
  // Parts of what a peer sent are in some of gRPC's messages.
  spdlog::log(level, "grpc message=\"{}\"", EscapedForLog(args->message));
}
#endif

}  // namespace

void StartLogging(absl::string_view level) {
  auto logger = std::make_shared<spdlog::logger>("attnd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
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

std::string EscapedForLog(absl::string_view text) {
  if (text.size() <= kMaxEscapedBytes) return absl::CHexEscape(text);
  return absl::StrCat(absl::CHexEscape(text.substr(0, kMaxEscapedBytes)), "...");
}

}  // namespace attnd::server

// The server's log: one line an event, on standard error. As text,
//
//   TIME LEVEL EVENT KEY=VALUE …
//
// and as JSON one object with the keys "time", "level", "event" and the event's own. All keys stay what they are, since
// others filter by them:
//
//   serving                      version, grpc, metrics, workers, kernels, max_message_bytes, max_in_flight_bytes
//   cannot_serve                 message
//   not_serving, serving_again   open_files, limit
//   draining                     drain_delay_seconds, grace_period_seconds
//   stopped                      calls
//   unclean_end                  message
//   call                         method, code, seconds, message
//   grpc, library                message
//
// `call` is at debug, one for each call when it ends; `grpc` and `library` (abseil) are what those say of themselves.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <variant>

namespace attnd::server {

// Sends our log, gRPC's and abseil's to standard error from `level` ("debug", "info", "warning" or "error") on, as
// `format` ("text" or "json"). Once, before gRPC is used.
void StartLogging(std::string_view level, std::string_view format);

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };

struct LogField {
  std::string_view key;
  // A time is written in seconds, to the microsecond. Text may come from anywhere: of what is longer, only the first
  // 500 bytes are kept; in a text log it is quoted where it is more than one word. In both forms, control characters
  // and what is not ASCII are written as escape sequences; in JSON, bytes that are not UTF-8 as U+FFFD.
  std::variant<std::int64_t, double, absl::Duration, std::string_view> value;
};

// Thread-safe.
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

}  // namespace attnd::server

// The server's settings: command line, environment (ATTND_…) and a configuration file, in this order of precedence.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>

namespace attnd::server {

// Validated. `attnd --help` says what each means.
struct Config {
  // "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". Port 0: the system chooses.
  std::string listen = "127.0.0.1:50051";
  // "IPV4:PORT" or "[IPV6]:PORT".
  std::string metrics_listen = "127.0.0.1:9464";
  // Empty: none is written.
  std::string port_file;

  // 0: as many as CPUs this process may use.
  int worker_count = 0;
  // At most 2³¹ − 1, which is gRPC's own limit. 0: kDefaultMaxMessageBytes, or max_in_flight_bytes where that is less.
  std::int64_t max_message_bytes = 0;
  // 0: half of the memory that this process may use. The other half is for what gRPC receives and has not yet handed
  // over.
  // At most a pebibyte.
  std::int64_t max_in_flight_bytes = 0;
  // How long a stream may stand still.
  double stream_stall_seconds = 60;
  // After which a connection takes no further calls. 0: never.
  double max_connection_age_seconds = 0;

  double drain_delay_seconds = 0;
  // Five seconds less than the 30 that Kubernetes gives by default.
  double grace_period_seconds = 25;

  // "debug", "info", "warning" or "error".
  std::string log_level = "info";
  // "text" or "json".
  std::string log_format = "text";
};

// Holds 32,768 keys and values of 8 heads of 128 in bfloat16 (128 MiB) with their queries and some room.
inline constexpr std::int64_t kDefaultMaxMessageBytes = std::int64_t{256} << 20;

struct CommandLine {
  Config config;
  // What to print instead of serving, for --help and --version. Empty: serve.
  std::string text_to_print;
};

// INVALID_ARGUMENT with one line that names the setting, what was found and what was expected. The sizes that are 0 in
// what the user gave are resolved here.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

// Puts numbers in the place of sizes that are 0. INVALID_ARGUMENT where a message could be larger than all in flight.
absl::Status ResolveSizes(Config& config, std::int64_t available_memory_bytes);

}  // namespace attnd::server

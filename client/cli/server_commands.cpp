#include "client/cli/server_commands.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "client/cli/exit_code.h"
#include "client/cli/failure.h"
#include "client/cli/text.h"
#include "client/cpp/client.h"

namespace attnd::cli {
namespace {

const char* Name(Health health) {
  switch (health) {
    case Health::kServing:
      return "SERVING";
    case Health::kNotServing:
      return "NOT_SERVING";
    case Health::kUnknown:
      return "UNKNOWN";
  }
  return "UNKNOWN";
}

std::string InfoAsJson(const ServerInfo& info) {
  nlohmann::ordered_json kernels = nlohmann::ordered_json::array();
  for (const auto& kernel : info.kernels) {
    kernels.push_back({{"element_type", kernel.element_type}, {"kernel", kernel.kernel}});
  }
  const nlohmann::ordered_json json = {{"version", info.version},
                                       {"onednn_version", info.onednn_version},
                                       {"instruction_sets_found", info.instruction_sets_found},
                                       {"onednn_instruction_set", info.onednn_instruction_set},
                                       {"vector_instruction_set", info.vector_instruction_set},
                                       {"worker_count", info.worker_count},
                                       {"limits",
                                        {{"max_message_bytes", info.max_message_bytes},
                                         {"max_in_flight_bytes", info.max_in_flight_bytes},
                                         {"max_head_size", info.max_head_size},
                                         {"max_stream_requests", info.max_stream_requests},
                                         {"max_stream_bytes", info.max_stream_bytes},
                                         {"stream_stall_seconds", info.stream_stall_seconds}}},
                                       {"kernels", kernels},
                                       {"options", info.options}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// "256 MiB (268435456 bytes)".
std::string BytesAsText(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  constexpr double kStep = 1024;
  const std::string exact = absl::StrCat(bytes, " bytes");
  double amount = static_cast<double>(bytes);
  const char* unit = nullptr;
  for (const char* const next : kUnits) {
    if (amount < kStep) break;
    amount /= kStep;
    unit = next;
  }
  return unit == nullptr ? exact : absl::StrFormat("%.4g %s (%s)", amount, unit, exact);
}

void PrintInfo(const ServerInfo& info) {
  const auto line = [](const char* name, const std::string& text) {
    std::printf("%-21s  %s\n", name, Printable(text).c_str());
  };
  line("version", info.version);
  line("instruction sets", absl::StrJoin(info.instruction_sets_found, " "));
  line("oneDNN", info.onednn_version + ", using " + info.onednn_instruction_set);
  line("exponentials", info.vector_instruction_set);
  line("workers", std::to_string(info.worker_count));
  line("largest message", BytesAsText(info.max_message_bytes));
  line("most in flight", BytesAsText(info.max_in_flight_bytes));
  line("largest head size", std::to_string(info.max_head_size));
  line("waiting on a stream",
       absl::StrFormat("%d requests, %s", info.max_stream_requests, BytesAsText(info.max_stream_bytes)));
  line("a stream stalls after", absl::StrFormat("%g s", info.stream_stall_seconds));
  for (const auto& kernel : info.kernels) line(("kernel for " + kernel.element_type).c_str(), kernel.kernel);
  for (const auto& option : info.options) line(&option == &info.options.front() ? "options" : "", option);
}

}  // namespace

int RunHealth(const HealthOptions& options) {
  constexpr absl::Duration kAttempt = absl::Seconds(5);
  constexpr absl::Duration kPause = absl::Milliseconds(50);
  Client client(options.server);
  const absl::Time end = absl::Now() + absl::Seconds(options.wait_seconds);
  while (true) {
    // Asked once, a server gets the time of one attempt; waited for, it gets what is left.
    const bool is_last_wait = options.wait_seconds > 0 && end - absl::Now() < kAttempt;
    const auto health = client.CheckHealth({.deadline = is_last_wait ? end : absl::Now() + kAttempt});
    if (health.ok() && *health == Health::kServing) {
      std::puts(Name(*health));
      return kOk;
    }
    if (absl::Now() + kPause >= end) {
      if (!health.ok()) return FailCall(options.server, health.status());
      std::puts(Name(*health));
      return kCheckFailed;
    }
    absl::SleepFor(kPause);
  }
}

int RunInfo(const InfoOptions& options) {
  Client client(options.server);
  const auto info = client.GetServerInfo({.deadline = absl::Now() + absl::Seconds(options.timeout_seconds)});
  if (!info.ok()) return FailCall(options.server, info.status());
  if (options.json) {
    std::puts(InfoAsJson(*info).c_str());
  } else {
    PrintInfo(*info);
  }
  return kOk;
}

}  // namespace attnd::cli

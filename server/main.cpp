// attnd: settings, signals and the life of one Server.
#include <absl/status/statusor.h>
#include <absl/strings/str_join.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "server/config.h"
#include "server/logging.h"
#include "server/port_file.h"
#include "server/server.h"
#include "server/version.h"

namespace {

using attnd::server::CommandLine;
using attnd::server::Config;
using attnd::server::Log;
using attnd::server::LogLevel;
using attnd::server::Server;

constexpr int kExitCannotServe = 1;
constexpr int kExitWrongSetting = 2;

constexpr absl::Duration kFileDescriptorCheckInterval = absl::Seconds(1);
// How long a second signal may wait to be seen while calls finish.
constexpr absl::Duration kSignalPollInterval = absl::Milliseconds(20);

// SIGTERM and SIGINT are taken by WaitForSignal alone: every thread that is started later inherits that they are
// blocked.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A peer that hangs up is an error of one write, not the end of the process.
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Whether a signal came within `timeout`.
bool WaitForSignal(const sigset_t& signals, absl::Duration timeout) {
  const timespec limit = absl::ToTimespec(timeout);
  return sigtimedwait(&signals, nullptr, &limit) > 0;
}

// Every connection takes a descriptor, and the usual soft limit of 1,024 is there for programs that use select().
void RaiseFileDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// glibc by itself raises both limits to the largest block that was freed, and then keeps such blocks in every thread's
// arena: memory that no request holds, of several times what all hold. With these, tensors of large requests go back at
// once, while those of small ones are used again.
void BoundFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 8 << 20);
}

void LogStart(const Server& server, const Config& config) {
  const std::string kernels =
      absl::StrJoin(server.engine().kernels(), ",",
                    [](std::string* out, const attnd::core::KernelDescription& kernel) { out->append(kernel.kernel); });
  Log(LogLevel::kInfo, "serving",
      {{"version", attnd::server::Version()},
       {"grpc", server.grpc_address()},
       {"metrics", server.metrics_address()},
       {"workers", server.engine().worker_count()},
       {"kernels", kernels},
       {"max_message_bytes", config.max_message_bytes},
       {"max_in_flight_bytes", config.max_in_flight_bytes}});
}

void ServeUntilSignal(Server& server, const sigset_t& signals) {
  while (!WaitForSignal(signals, kFileDescriptorCheckInterval)) server.CheckFileDescriptors();
}

// NOT_SERVING, then the drain delay, then the grace period; a second signal skips what is left of both.
void DrainAndStop(Server& server, const Config& config, const sigset_t& signals) {
  Log(LogLevel::kInfo, "draining",
      {{"drain_delay_seconds", config.drain_delay_seconds}, {"grace_period_seconds", config.grace_period_seconds}});
  server.Drain();
  const bool is_hasty = WaitForSignal(signals, absl::Seconds(config.drain_delay_seconds));
  if (is_hasty) server.HastenStop();

  absl::Notification stopped;
  std::thread stopper([&] {
    server.Stop(is_hasty ? absl::ZeroDuration() : absl::Seconds(config.grace_period_seconds));
    stopped.Notify();
  });
  while (!stopped.HasBeenNotified()) {
    if (WaitForSignal(signals, kSignalPollInterval)) server.HastenStop();
  }
  stopper.join();
}

int CannotServe(const absl::Status& status) {
  Log(LogLevel::kError, "cannot_serve", {{"message", std::string(status.message())}});
  return kExitCannotServe;
}

int Serve(const Config& config) {
  const sigset_t signals = BlockSignals();
  RaiseFileDescriptorLimit();
  BoundFreedMemory();
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(config);
  if (!server.ok()) return CannotServe(server.status());
  if (!config.port_file.empty()) {
    const absl::Status written =
        attnd::server::WritePortFile(config.port_file, (*server)->grpc_address(), (*server)->metrics_address());
    if (!written.ok()) return CannotServe(written);
  }
  LogStart(**server, config);
  ServeUntilSignal(**server, signals);
  DrainAndStop(**server, config, signals);
  // Left behind, it would send the next reader to a port that is somebody else's by then.
  if (!config.port_file.empty()) static_cast<void>(std::remove(config.port_file.c_str()));
  Log(LogLevel::kInfo, "stopped", {{"calls", (*server)->handled_count()}});
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  absl::StatusOr<CommandLine> command_line = attnd::server::ParseCommandLine(argc, argv);
  if (!command_line.ok()) {
    std::fprintf(stderr, "attnd: %s (attnd --help lists the settings)\n",
                 std::string(command_line.status().message()).c_str());
    return kExitWrongSetting;
  }
  if (!command_line->text_to_print.empty()) {
    std::fputs(command_line->text_to_print.c_str(), stdout);
    return 0;
  }
  attnd::server::StartLogging(command_line->config.log_level, command_line->config.log_format);
  return Serve(command_line->config);
}

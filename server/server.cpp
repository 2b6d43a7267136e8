#include "server/server.h"

#include <absl/strings/str_cat.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/machine.h"
#include "server/attnd_v1/service.h"
#include "server/connection_arguments.h"
#include "server/file_descriptors.h"
#include "server/health.h"
#include "server/logging.h"
#include "server/metrics_endpoint.h"

namespace attnd::server {
namespace {

// A stream may hold this many largest messages while it is read: one is computed while the next one comes.
constexpr std::int64_t kMaxStreamMessages = 2;
// Memory of tensors that is kept for the next request: enough for one of 8 × 12 heads, 512 rows and 64 columns in
// float32, but little beside what requests may take.
constexpr std::int64_t kMostKeptBytes = std::int64_t{64} << 20;
constexpr std::int64_t kInFlightBytesPerKeptByte = 8;
// Health watchers get this long to read NOT_SERVING before their streams end.
constexpr absl::Duration kStreamsEndAfter = absl::Milliseconds(100);
// gRPC lets go of the last answers' memory a moment after its server is gone.
constexpr absl::Duration kMaxWaitForAnswers = absl::Seconds(10);

// Shares of the limit of open files at which health turns. Once accepting a connection has failed for want of a
// descriptor, gRPC's listener never accepts again, so new clients must go elsewhere well before.
constexpr double kUnhealthyFileShare = 0.9;
constexpr double kHealthyFileShare = 0.8;

constexpr std::string_view kUnixPrefix = "unix:";

// Whether somebody accepts connections at a Unix socket's path. gRPC would take such a path over without a word.
bool IsInUse(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;  // which gRPC refuses
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_fd < 0) return false;
  const bool connected = connect(socket_fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(socket_fd);
  return connected;
}

// Debian's abseil, which gRPC shares, watches the order in which locks are taken, and ends the process where it finds a
// cycle. But what is compiled with NDEBUG does not tell it of a mutex's end: a new one in the same memory inherits the
// order of the old one, and sooner or later an order that is good looks like a cycle. Debug builds keep the watch.
void EndWatchOfLockOrder() {
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
}

void PrepareGrpc() {
  EndWatchOfLockOrder();
  // Never taken back: the library's end, which comes with its last server's, waits up to ten seconds for a thread of
  // its own that sleeps in poll. The process may end with that thread.
  grpc_init();
  EnableHealthAndReflection();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const Config& config) {
  std::unique_ptr<Server> server(new Server(config));
  if (absl::Status status = server->Listen(config); !status.ok()) return status;
  return server;
}

Server::Server(const Config& config)
    : metrics_(core::OnednnVersion(), core::OnednnInstructionSet()),
      calls_(metrics_),
      admission_(config.max_in_flight_bytes),
      kept_memory_(std::min(kMostKeptBytes, config.max_in_flight_bytes / kInFlightBytesPerKeptByte)),
      engine_({.worker_count = config.worker_count, .observer = &metrics_}),
      context_{.engine = &engine_,
               .admission = &admission_,
               .kept_memory = &kept_memory_,
               .metrics = &metrics_,
               .send_queues = &send_queues_,
               .max_message_bytes = config.max_message_bytes,
               .max_in_flight_bytes = config.max_in_flight_bytes,
               .max_stream_bytes = kMaxStreamMessages * config.max_message_bytes,
               .stream_stall = absl::Seconds(config.stream_stall_seconds)},
      service_(std::make_unique<attnd_v1::Service>(context_)) {}

absl::Status Server::Listen(const Config& config) {
  absl::StatusOr<std::unique_ptr<MetricsEndpoint>> metrics_endpoint = MetricsEndpoint::Listen(
      config.metrics_listen, metrics_, [this] { metrics_.SetInFlightBytes(admission_.in_flight_bytes()); });
  if (!metrics_endpoint.ok()) return metrics_endpoint.status();
  metrics_endpoint_ = *std::move(metrics_endpoint);

  static std::once_flag prepared;
  std::call_once(prepared, PrepareGrpc);
  const bool is_unix = config.listen.starts_with(kUnixPrefix);
  const absl::Status in_use = absl::UnavailableError(
      absl::StrCat("cannot serve gRPC at ", config.listen, ": the address is in use, or not one of this machine's"));
  if (is_unix && IsInUse(config.listen.substr(kUnixPrefix.size()))) return in_use;

  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(config.listen, grpc::InsecureServerCredentials(), &port);
  SetConnectionArguments(builder, config.max_connection_age_seconds);
  grpc::ResourceQuota quota("attnd");
  quota.Resize(static_cast<std::size_t>(config.max_in_flight_bytes));
  builder.SetResourceQuota(quota);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(calls_.MakeInterceptorFactory());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  service_->RegisterOn(builder);
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr) return in_use;

  grpc_address_ = is_unix ? config.listen : absl::StrCat(config.listen.substr(0, config.listen.rfind(':')), ":", port);
  SetServing(*grpc_->GetHealthCheckService(), true);
  return absl::OkStatus();
}

Server::~Server() {
  if (grpc_ != nullptr) {
    Stop(absl::ZeroDuration());
    grpc_.reset();
  }
  if (!admission_.AwaitNoneInFlight(kMaxWaitForAnswers)) {
    Log(LogLevel::kError, "unclean_end", {{"message", "memory of answers is still in use after the last call"}});
    std::_Exit(1);
  }
}

const std::string& Server::metrics_address() const { return metrics_endpoint_->address(); }

void Server::Drain() {
  absl::MutexLock lock(&health_mutex_);
  draining_ = true;
  SetServing(*grpc_->GetHealthCheckService(), false);
}

void Server::CheckFileDescriptors() {
  rlimit limit = {};
  const int open = OpenFileDescriptors();
  if (open < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const double share = open / static_cast<double>(limit.rlim_cur);

  absl::MutexLock lock(&health_mutex_);
  const bool is_short = share >= (short_of_file_descriptors_ ? kHealthyFileShare : kUnhealthyFileShare);
  if (is_short == short_of_file_descriptors_ || draining_) return;
  short_of_file_descriptors_ = is_short;
  SetServing(*grpc_->GetHealthCheckService(), !is_short);
  Log(is_short ? LogLevel::kWarning : LogLevel::kInfo, is_short ? "not_serving" : "serving_again",
      {{"open_files", open}, {"limit", static_cast<std::int64_t>(limit.rlim_cur)}});
}

void Server::Stop(absl::Duration grace_period) {
  if (stopped_) return;
  stopped_ = true;
  const absl::Time deadline = absl::Now() + grace_period;
  Drain();
  send_queues_.StartWatching();
  AwaitSent(deadline);
  service_->DrainStreams();
  absl::Notification ended;
  std::thread shutdown([this, deadline, &ended] {
    grpc_->Shutdown(absl::ToChronoTime(deadline));
    ended.Notify();
  });
  const absl::Time streams_end_at = absl::Now() + kStreamsEndAfter;
  while (!ended.WaitForNotificationWithTimeout(SendQueues::kSampleInterval)) {
    send_queues_.Sample();
    if (hasten_) {
      calls_.EndAll();
    } else if (absl::Now() >= streams_end_at) {
      calls_.EndStreams();
    }
  }
  shutdown.join();
}

void Server::AwaitSent(absl::Time deadline) {
  const absl::Time start = absl::Now();
  send_queues_.Sample();
  while (!send_queues_.IsTaken(start) && !hasten_ && absl::Now() < deadline) {
    absl::SleepFor(SendQueues::kSampleInterval);
    send_queues_.Sample();
  }
}

}  // namespace attnd::server

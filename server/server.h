// The whole server in one object: `attnd` is this plus settings and signals, and tests run it in their own process.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "core/engine.h"
#include "server/admission.h"
#include "server/attend.h"
#include "server/call_tracker.h"
#include "server/config.h"
#include "server/metrics.h"
#include "server/send_queues.h"

namespace grpc {
class Server;
}

namespace attnd::server {

class MetricsEndpoint;

namespace attnd_v1 {
class Service;
}

// Thread-safe, except for Stop and the destructor.
class Server {
 public:
  // Serves when it returns; health says SERVING. `config` has its sizes resolved. UNAVAILABLE, naming the address,
  // where one cannot be listened at.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Config& config);
  // Stops at once where Stop was not called.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // What clients connect to, with the port in use: "127.0.0.1:50051" or "unix:/run/attnd.sock".
  const std::string& grpc_address() const { return grpc_address_; }
  const std::string& metrics_address() const;
  const core::Engine& engine() const { return engine_; }

  // Health says NOT_SERVING from now on; calls are still accepted.
  void Drain();
  // Health says NOT_SERVING while the process has nearly as many files open as it may. Call once a second.
  void CheckFileDescriptors();

  // Calls that have ended so far.
  std::int64_t handled_count() const { return calls_.handled_count(); }

  // Accepts no further calls and returns when all have ended: by themselves, or UNAVAILABLE after `grace_period`.
  // Streams that only their clients would end (health watches, reflection) end UNAVAILABLE at once; those of
  // StreamAttend when what has arrived whole is answered. A second call does nothing.
  void Stop(absl::Duration grace_period);
  // Lets a Stop under way end its calls at once.
  void HastenStop() { hasten_ = true; }

 private:
  explicit Server(const Config& config);
  absl::Status Listen(const Config& config);
  // Waits until what was sent so far has arrived, but not beyond the deadline.
  void AwaitSent(absl::Time deadline);

  // Constant after Start. In the order of what needs what: the destructor takes them down from the last to the first.
  std::string grpc_address_;
  Metrics metrics_;
  CallTracker calls_;
  Admission admission_;
  KeptMemory kept_memory_;
  SendQueues send_queues_;
  core::Engine engine_;
  const AttendContext context_;
  std::unique_ptr<attnd_v1::Service> service_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<MetricsEndpoint> metrics_endpoint_;

  bool stopped_ = false;
  std::atomic<bool> hasten_ = false;
  absl::Mutex health_mutex_;
  bool draining_ ABSL_GUARDED_BY(health_mutex_) = false;
  bool short_of_file_descriptors_ ABSL_GUARDED_BY(health_mutex_) = false;
};

}  // namespace attnd::server

// Follows every call of every method from its start on the server to its status.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/support/server_interceptor.h>

#include <cstdint>
#include <memory>
#include <unordered_set>

#include "server/metrics.h"

namespace attnd::server {

// Counts each call in the metrics, logs it at debug, and can end those that would hold up a shutdown. Calls that gRPC
// itself refuses before a handler is chosen (metadata that is too large; for GetServerInfo also a message that is too
// large or compressed) pass unseen: no interceptor is made for them. Thread-safe; must outlive the gRPC server.
class CallTracker {
 public:
  explicit CallTracker(Metrics& metrics);
  ~CallTracker();
  CallTracker(const CallTracker&) = delete;
  CallTracker& operator=(const CallTracker&) = delete;

  // For grpc::ServerBuilder.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeInterceptorFactory();

  // Ends with UNAVAILABLE the calls that end only when their client wants it (Health.Watch, reflection).
  void EndStreams();
  // Ends every call with UNAVAILABLE.
  void EndAll();

  // Calls that were counted as handled so far.
  std::int64_t handled_count() const;

 private:
  class Interceptor;
  class Factory;

  void Add(Interceptor* call);
  // False where that was done before.
  bool Remove(Interceptor* call);
  void End(bool only_streams);

  Metrics& metrics_;
  mutable absl::Mutex mutex_;
  std::unordered_set<Interceptor*> calls_ ABSL_GUARDED_BY(mutex_);
  std::int64_t handled_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attnd::server

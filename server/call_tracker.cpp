#include "server/call_tracker.h"

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <grpc/grpc.h>
#include <grpcpp/server_context.h>

#include <cassert>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "server/logging.h"

namespace attnd::server {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::ServerRpcInfo;

// Attend is served generically, and so has gRPC's type for streams: the name tells.
bool EndsOnlyWhenItsClientWants(std::string_view method) {
  return method == "/grpc.health.v1.Health/Watch" || method.starts_with("/grpc.reflection.");
}

}  // namespace

class CallTracker::Interceptor final : public grpc::experimental::Interceptor {
 public:
  Interceptor(CallTracker& tracker, ServerRpcInfo* info)
      : tracker_(tracker), context_(info->server_context()), method_(info->method()) {
    tracker_.metrics_.CallStarted(method_);
    tracker_.Add(this);
  }

  // Every handler sends a status; should one not, the call must not stay in the books.
  ~Interceptor() override { OnStatus(grpc::Status::CANCELLED); }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS))
      OnStatus(methods->GetSendStatus());
    methods->Proceed();
  }

  bool is_endless() const { return EndsOnlyWhenItsClientWants(method_); }
  // Null before the call is set up. The context lives at least until the status is sent.
  grpc_call* call() const { return context_->c_call(); }

 private:
  using Clock = std::chrono::steady_clock;

  void OnStatus(const grpc::Status& status) {
    if (!tracker_.Remove(this)) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    tracker_.metrics_.CallHandled(method_, status.error_code(), seconds);
    // Both number the codes alike.
    const std::string code = absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
    Log(LogLevel::kDebug, "call",
        {{"method", method_},
         {"code", code},
         {"seconds", absl::Seconds(seconds)},
         {"message", status.error_message()}});
  }

  CallTracker& tracker_;
  grpc::ServerContextBase* const context_;
  const std::string method_;
  const Clock::time_point start_ = Clock::now();
};

class CallTracker::Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(CallTracker& tracker) : tracker_(tracker) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new Interceptor(tracker_, info);  // gRPC owns it
  }

 private:
  CallTracker& tracker_;
};

CallTracker::CallTracker(Metrics& metrics) : metrics_(metrics) {}

CallTracker::~CallTracker() {
  absl::MutexLock lock(&mutex_);
  assert(calls_.empty());
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallTracker::MakeInterceptorFactory() {
  return std::make_unique<Factory>(*this);
}

void CallTracker::EndStreams() { End(/*only_streams=*/true); }

void CallTracker::EndAll() { End(/*only_streams=*/false); }

std::int64_t CallTracker::handled_count() const {
  absl::MutexLock lock(&mutex_);
  return handled_count_;
}

void CallTracker::Add(Interceptor* call) {
  absl::MutexLock lock(&mutex_);
  calls_.insert(call);
}

bool CallTracker::Remove(Interceptor* call) {
  absl::MutexLock lock(&mutex_);
  if (calls_.erase(call) == 0) return false;
  ++handled_count_;
  return true;
}

void CallTracker::End(bool only_streams) {
  std::vector<grpc_call*> calls;
  {
    absl::MutexLock lock(&mutex_);
    for (const Interceptor* call : calls_) {
      if ((only_streams && !call->is_endless()) || call->call() == nullptr) continue;
      grpc_call_ref(call->call());
      calls.push_back(call->call());
    }
  }
  // Without the lock: ending a call may run its handler's last reactions, and so Remove, on this thread.
  for (grpc_call* call : calls) {
    grpc_call_cancel_with_status(call, GRPC_STATUS_UNAVAILABLE, "the server shuts down", nullptr);
    grpc_call_unref(call);
  }
}

}  // namespace attnd::server

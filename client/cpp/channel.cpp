#include "client/cpp/channel.h"

#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <grpc/grpc.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/slice.h>

#include <climits>
#include <string_view>

namespace attnd {
namespace {

// The waits before the second to the fifth attempt are random up to 0.1, 0.2, 0.4 and 0.8 s: enough for a server's
// restart to be noticed and another one to be chosen, little enough that a caller learns soon that all are away. gRPC
// takes no more than five attempts. A stream is not for gRPC to try again, which would keep all that was sent, and
// could not after the first answer: AttendStream does it itself.
constexpr char kCallServiceConfig[] = R"json({
  "loadBalancingConfig": [{"round_robin": {}}],
  "healthCheckConfig": {"serviceName": ""},
  "methodConfig": [{
    "name": [{"service": "attnd.v1.AttentionService", "method": "StreamAttend"}]
  }, {
    "name": [{"service": "attnd.v1.AttentionService"}],
    "retryPolicy": {
      "maxAttempts": 5,
      "initialBackoff": "0.1s",
      "maxBackoff": "1s",
      "backoffMultiplier": 2,
      "retryableStatusCodes": ["UNAVAILABLE"]
    }
  }]
})json";

grpc::ChannelArguments CommonArguments(const std::string& address, const ClientOptions& options) {
  grpc::ChannelArguments arguments;
  // Tensors are as large as the server lets them be; gRPC's own default is 4 MiB.
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(absl::ToInt64Milliseconds(options.keepalive_time)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.keepalive_timeout)));
  // gRPC by itself asks twice while a call waits, and no more; a large problem is computed for longer.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A server that restarts is found again soon: gRPC's own defaults are 1 s and 120 s.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000);
  if (IsLoopback(address)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

// Debian's abseil, which gRPC shares, watches the order in which locks are taken, and ends the process where it finds a
// cycle. But what is compiled with NDEBUG does not tell it of a mutex's end: the next call's, in the same memory,
// inherits the order of the last one's, and sooner or later an order that is good looks like a cycle.
void EndWatchOfLockOrder() {
#ifdef NDEBUG
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
}

// A process that has once made a channel keeps gRPC, and a channel that leads nowhere but has had a call, and with it
// the threads that run callbacks. Otherwise the last channel to go ends all threads and waits for them: up to ten
// seconds for one that still watches the socket of a call that was given up, and where a call outlives its client, the
// thread that waits would be one of those that it waits for.
void KeepGrpc() {
  // Nobody reads it, but a leak checker has to find it.
  [[gnu::used]] static const auto* const kept = [] {
    EndWatchOfLockOrder();
    grpc_init();
    auto* const channel = new std::shared_ptr<grpc::Channel>(grpc::CreateChannel("", nullptr));
    struct Call {
      grpc::ClientContext context;
      grpc::ByteBuffer request;
      grpc::ByteBuffer response;
    };
    const grpc::Slice nothing("");
    const auto call = std::make_shared<Call>();
    call->request = grpc::ByteBuffer(&nothing, 1);
    grpc::GenericStub(*channel).UnaryCall(&call->context, "/", {}, &call->request, &call->response,
                                          [call](const grpc::Status& /*status*/) {});
    return channel;
  }();
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address, const grpc::ChannelArguments& arguments) {
  KeepGrpc();
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeCallChannel(const std::string& address, const ClientOptions& options) {
  grpc::ChannelArguments arguments = CommonArguments(address, options);
  arguments.SetServiceConfigJSON(kCallServiceConfig);
  // A message above this is not retried; gRPC's own default is 256 KiB. It costs no memory: what is kept for another
  // attempt refers to the caller's tensors.
  arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, INT_MAX);
  return MakeChannel(address, arguments);
}

std::shared_ptr<grpc::Channel> MakeHealthChannel(const std::string& address, const ClientOptions& options) {
  grpc::ChannelArguments arguments = CommonArguments(address, options);
  // Of connections to the same server gRPC makes one where the arguments are alike, so this also keeps the two channels
  // apart.
  arguments.SetInt(GRPC_ARG_INHIBIT_HEALTH_CHECKING, 1);
  // Who asks for health again and again waits for a server to come up.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return MakeChannel(address, arguments);
}

bool IsLoopback(std::string_view address) {
  for (const std::string_view scheme : {"dns:///", "dns:", "ipv4:", "ipv6:"}) {
    if (address.starts_with(scheme)) {
      address.remove_prefix(scheme.size());
      break;
    }
  }
  if (address.find(',') != std::string_view::npos) return false;
  return address == "localhost" || address.starts_with("localhost:") || address.starts_with("127.") ||
         address.starts_with("[::1]");
}

}  // namespace attnd

#include "server/attnd_v1/service.h"

#include <attnd/v1/attention.grpc.pb.h>
#include <grpcpp/generic/async_generic_service.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "server/attnd_v1/attend_reactor.h"
#include "server/attnd_v1/merge_reactor.h"
#include "server/attnd_v1/server_info.h"
#include "server/attnd_v1/stream_reactor.h"

namespace attnd::server::attnd_v1 {
namespace {

constexpr char kAttendMethod[] = "/attnd.v1.AttentionService/Attend";
constexpr char kStreamAttendMethod[] = "/attnd.v1.AttentionService/StreamAttend";
constexpr char kMergePartialsMethod[] = "/attnd.v1.AttentionService/MergePartials";

class UnknownMethodReactor final : public grpc::ServerGenericBidiReactor {
 public:
  // The method's name is the caller's and of any length, so it is not repeated.
  UnknownMethodReactor() { Finish({grpc::StatusCode::UNIMPLEMENTED, "this server has no such method"}); }
  void OnDone() override { delete this; }
};

}  // namespace

// The service as reflection and gRPC's method table see it: what carries tensors is left to the generic service.
class Service::Typed final
    : public v1::AttentionService::WithGenericMethod_Attend<
          v1::AttentionService::WithGenericMethod_StreamAttend<v1::AttentionService::WithGenericMethod_MergePartials<
              v1::AttentionService::WithCallbackMethod_GetServerInfo<v1::AttentionService::Service>>>> {
 public:
  explicit Typed(v1::GetServerInfoResponse info) : info_(std::move(info)) {}

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* call,
                                          const v1::GetServerInfoRequest* /*request*/,
                                          v1::GetServerInfoResponse* response) override {
    *response = info_;
    grpc::ServerUnaryReactor* const reactor = call->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const v1::GetServerInfoResponse info_;
};

class Service::Generic final : public grpc::CallbackGenericService {
 public:
  Generic(const AttendContext& context, OpenStreams& streams) : context_(context), streams_(streams) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* call) override {
    if (call->method() == kAttendMethod) return new AttendReactor(context_, call);
    if (call->method() == kStreamAttendMethod) return StreamReactor::Start(context_, call, streams_);
    if (call->method() == kMergePartialsMethod) return new MergeReactor(context_, call);
    return new UnknownMethodReactor;
  }

 private:
  const AttendContext context_;
  OpenStreams& streams_;
};

Service::Service(const AttendContext& context)
    : context_(context),
      typed_(std::make_unique<Typed>(DescribeServer(context))),
      generic_(std::make_unique<Generic>(context, streams_)) {}

Service::~Service() = default;

void Service::DrainStreams() { streams_.Drain(); }

void Service::RegisterOn(grpc::ServerBuilder& builder) {
  // gRPC counts in int, where -1 is no limit.
  const std::int64_t limit = std::min<std::int64_t>(context_.max_message_bytes, std::numeric_limits<int>::max());
  builder.SetMaxReceiveMessageSize(static_cast<int>(limit));
  builder.RegisterService(typed_.get());
  builder.RegisterCallbackGenericService(generic_.get());
}

}  // namespace attnd::server::attnd_v1

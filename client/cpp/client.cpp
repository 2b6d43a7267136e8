#include "client/cpp/client.h"

#include <absl/base/thread_annotations.h>
#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <absl/strings/strip.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <attnd/v1/attention.grpc.pb.h>
#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "client/cpp/channel.h"
#include "client/cpp/request_message.h"
#include "client/cpp/response_message.h"

namespace attnd {
namespace {

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

void Apply(const CallOptions& options, grpc::ClientContext& context) {
  if (options.deadline == absl::InfiniteFuture()) return;
  // gRPC takes what lies too far back for no deadline at all.
  context.set_deadline(absl::ToChronoTime(std::max(options.deadline, absl::UnixEpoch())));
}

// "ELEMENT_TYPE_FLOAT32" as "float32"; a number that this client has no name for as that number.
std::string Name(v1::ElementType type) {
  absl::string_view name = v1::ElementType_Name(type);
  if (!absl::ConsumePrefix(&name, "ELEMENT_TYPE_")) return absl::StrCat(static_cast<int>(type));
  return absl::AsciiStrToLower(name);
}

}  // namespace

// What a call needs while it is on its way. It is done when gRPC has said how the call ended and has let go of every
// piece of the caller's memory, which comes in any order: a connection may still hold bytes of a call that was
// cancelled. What gRPC keeps for another attempt it lets go only with the call, so the call goes as soon as it has
// ended.
class AttendCall::State {
 public:
  // A call that is done before it began.
  explicit State(absl::Status error) : error_(std::move(error)) { done_.Notify(); }

  State(grpc::GenericStub& stub, std::vector<MessagePart> parts, const CallOptions& options) {
    static const std::string method = absl::StrCat("/", v1::AttentionService::service_full_name(), "/Attend");
    context_.emplace();
    Apply(options, *context_);
    request_ = Refer(std::move(parts));
    stub.UnaryCall(&*context_, method, {}, &request_, &response_, [this](grpc::Status status) {
      status_ = std::move(status);
      request_.Clear();
      {
        absl::MutexLock lock(&mutex_);
        context_.reset();
      }
      Release();
    });
  }

  ~State() {
    Cancel();
    done_.WaitForNotification();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void Cancel() {
    absl::MutexLock lock(&mutex_);
    if (context_) context_->TryCancel();
  }

  bool WaitUntil(absl::Time time) { return done_.WaitForNotificationWithDeadline(time); }

  absl::StatusOr<AttendResult> Take() {
    done_.WaitForNotification();
    if (!error_.ok()) return error_;
    if (!status_.ok()) return ToAbsl(status_);
    return DecodeResponse(&response_);
  }

 private:
  grpc::ByteBuffer Refer(std::vector<MessagePart> parts) {
    std::vector<grpc::Slice> slices;
    for (const MessagePart& part : parts) {
      slices.emplace_back(part.owned);
      if (part.borrowed == nullptr) continue;
      holders_.fetch_add(1, std::memory_order_relaxed);
      // gRPC does not write to what it sends, though its type says that it could.
      slices.emplace_back(
          const_cast<void*>(part.borrowed), part.borrowed_size_bytes,
          [](void* state) { static_cast<State*>(state)->Release(); }, this);
    }
    return {slices.data(), slices.size()};
  }

  // Whoever is last wakes the caller, who may then destroy this.
  void Release() {
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.Notify();
  }

  absl::Mutex mutex_;
  // There until gRPC has said how the call ended.
  std::optional<grpc::ClientContext> context_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  // Set before done_.
  grpc::Status status_;
  absl::Status error_;
  // The call itself, and the slices that refer to the caller's memory.
  std::atomic<int> holders_ = 1;
  absl::Notification done_;
};

AttendCall::AttendCall(std::unique_ptr<State> state) : state_(std::move(state)) {}
AttendCall::AttendCall(AttendCall&&) noexcept = default;
AttendCall& AttendCall::operator=(AttendCall&&) noexcept = default;
AttendCall::~AttendCall() = default;
void AttendCall::Cancel() { state_->Cancel(); }
bool AttendCall::WaitUntil(absl::Time time) { return state_->WaitUntil(time); }
absl::StatusOr<AttendResult> AttendCall::Take() { return state_->Take(); }

class Client::Impl {
 public:
  Impl(const std::string& address, const ClientOptions& options)
      : channel_(MakeCallChannel(address, options)),
        generic_stub_(channel_),
        stub_(channel_),
        health_stub_(MakeHealthChannel(address, options)) {}

  std::unique_ptr<AttendCall::State> Attend(const AttendRequest& request, const CallOptions& options) {
    auto parts = EncodeRequest(request);
    if (!parts.ok()) return std::make_unique<AttendCall::State>(parts.status());
    return std::make_unique<AttendCall::State>(generic_stub_, *std::move(parts), options);
  }

  absl::StatusOr<v1::GetServerInfoResponse> GetServerInfo(const CallOptions& options) {
    grpc::ClientContext context;
    Apply(options, context);
    v1::GetServerInfoResponse response;
    const grpc::Status status = stub_.GetServerInfo(&context, {}, &response);
    if (!status.ok()) return ToAbsl(status);
    return response;
  }

  // The number that grpc.health.v1.HealthCheckResponse.status has.
  absl::StatusOr<int> CheckHealth(const CallOptions& options) {
    grpc::ClientContext context;
    Apply(options, context);
    google::protobuf::StringValue request;
    google::protobuf::Int32Value response;
    absl::Notification done;
    grpc::Status status;
    health_stub_.UnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &request, &response, [&](grpc::Status result) {
      status = std::move(result);
      done.Notify();
    });
    done.WaitForNotification();
    if (!status.ok()) return ToAbsl(status);
    return response.value();
  }

 private:
  // HealthCheckRequest is one string and HealthCheckResponse one enumeration, each the field 1: on the wire the same as
  // these two messages that come with protobuf, so that no other interface has to be generated.
  using HealthStub = grpc::TemplatedGenericStub<google::protobuf::StringValue, google::protobuf::Int32Value>;

  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub generic_stub_;
  v1::AttentionService::Stub stub_;
  HealthStub health_stub_;
};

Client::Client(const std::string& address, const ClientOptions& options)
    : impl_(std::make_unique<Impl>(address, options)) {}

Client::~Client() = default;

absl::StatusOr<AttendResult> Client::Attend(const AttendRequest& request, const CallOptions& options) {
  return impl_->Attend(request, options)->Take();
}

AttendCall Client::AttendAsync(const AttendRequest& request, const CallOptions& options) {
  return AttendCall(impl_->Attend(request, options));
}

absl::StatusOr<ServerInfo> Client::GetServerInfo(const CallOptions& options) {
  const auto response = impl_->GetServerInfo(options);
  if (!response.ok()) return response.status();
  ServerInfo info{
      .version = response->version(),
      .onednn_version = response->onednn_version(),
      .instruction_sets_found = {response->instruction_sets_found().begin(), response->instruction_sets_found().end()},
      .onednn_instruction_set = response->onednn_instruction_set(),
      .vector_instruction_set = response->vector_instruction_set(),
      .worker_count = response->worker_count(),
      .max_message_bytes = response->limits().max_message_bytes(),
      .max_in_flight_bytes = response->limits().max_in_flight_bytes(),
      .max_head_size = response->limits().max_head_size(),
      .kernels = {},
      .options = {response->options().begin(), response->options().end()}};
  for (const v1::KernelInfo& kernel : response->kernels()) {
    info.kernels.push_back({.element_type = Name(kernel.element_type()), .kernel = kernel.kernel()});
  }
  return info;
}

absl::StatusOr<Health> Client::CheckHealth(const CallOptions& options) {
  const auto status = impl_->CheckHealth(options);
  if (!status.ok()) return status.status();
  switch (*status) {
    case 1:
      return Health::kServing;
    case 2:
      return Health::kNotServing;
    default:
      return Health::kUnknown;
  }
}

}  // namespace attnd

#include "client/cpp/client.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <absl/strings/strip.h>
#include <absl/synchronization/notification.h>
#include <attnd/v1/attention.grpc.pb.h>
#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "client/cpp/answer_shapes.h"
#include "client/cpp/attend_stream.h"
#include "client/cpp/call_state.h"
#include "client/cpp/channel.h"
#include "client/cpp/cuts.h"
#include "client/cpp/grpc_values.h"
#include "client/cpp/large_call.h"
#include "client/cpp/merge_message.h"
#include "client/cpp/problem_sizes.h"
#include "client/cpp/request_message.h"
#include "client/cpp/request_tensors.h"
#include "client/cpp/server_limits.h"
#include "client/cpp/unary_call.h"

namespace attnd {
namespace {

// Below this no server is asked whether it takes such messages.
constexpr std::int64_t kSmallMessageSizeBytes = std::int64_t{1} << 20;

// Of a tensor, so that the sum of a few does not overflow.
constexpr std::size_t kMostSizeBytes = std::size_t{1} << 58;

// "ELEMENT_TYPE_FLOAT32" as "float32"; a number that this client has no name for as that number.
std::string Name(v1::ElementType type) {
  absl::string_view name = v1::ElementType_Name(type);
  if (!absl::ConsumePrefix(&name, "ELEMENT_TYPE_")) return absl::StrCat(static_cast<int>(type));
  return absl::AsciiStrToLower(name);
}

// Bytes of the request's tensors or of its answer's, whichever are more; 0 where that cannot be said.
std::int64_t LargerMessageSizeBytes(const AttendRequest& request) {
  std::int64_t request_bytes = 0;
  for (const InputTensor& tensor : InputTensors()) {
    const TensorView* const view = FindView(request, tensor.input);
    const auto size_bytes = view == nullptr ? 0 : SizeBytes(view->element_type, view->shape, tensor.name).value_or(0);
    request_bytes += static_cast<std::int64_t>(std::min<std::size_t>(size_bytes, kMostSizeBytes));
  }
  const auto shapes = ShapesOfAnswer(request);
  const std::size_t answer_bytes = shapes ? SizeBytes(*shapes) : 0;
  return std::max(request_bytes, static_cast<std::int64_t>(answer_bytes));
}

}  // namespace

class Client::Impl {
 public:
  Impl(const std::string& address, const ClientOptions& options)
      : channel_(MakeCallChannel(address, options)),
        generic_stub_(channel_),
        stub_(channel_),
        health_stub_(MakeHealthChannel(address, options)) {}

  std::unique_ptr<CallState> Attend(const AttendRequest& request, const CallOptions& options) {
    const auto limits = known_limits_->Get();
    const std::int64_t surely_fits_bytes = limits ? MaxMessageSizeBytes(*limits) : kSmallMessageSizeBytes;
    // What contradicts itself goes as it is: the server says what is wrong with it.
    if (const auto sizes = SizesOf(request)) {
      if (MessageSizeBytes(request, WholeProblem(*sizes)) > surely_fits_bytes) {
        return LargeCall::Start(channel_, known_limits_, request, *sizes, options);
      }
    } else if (!MayBeCut(request) && LargerMessageSizeBytes(request) > surely_fits_bytes) {
      const auto stream = OpenStream({});
      auto call = stream->Attend(request, options);
      stream->Close();
      return call;
    }
    auto parts = EncodeRequest(request);
    if (!parts.ok()) return std::make_unique<FailedCall>(parts.status());
    return std::make_unique<UnaryCall>(generic_stub_, *std::move(parts), options);
  }

  std::shared_ptr<AttendStream::Impl> OpenStream(const StreamOptions& options) {
    return std::make_shared<AttendStream::Impl>(channel_, options);
  }

  absl::StatusOr<v1::MergePartialsResponse> MergePartials(const v1::MergePartialsRequest& request,
                                                          const CallOptions& options) {
    grpc::ClientContext context;
    SetDeadline(options.deadline, context);
    v1::MergePartialsResponse response;
    const grpc::Status status = stub_.MergePartials(&context, request, &response);
    if (!status.ok()) return ToAbsl(status);
    return response;
  }

  absl::StatusOr<v1::GetServerInfoResponse> GetServerInfo(const CallOptions& options) {
    grpc::ClientContext context;
    SetDeadline(options.deadline, context);
    v1::GetServerInfoResponse response;
    const grpc::Status status = stub_.GetServerInfo(&context, {}, &response);
    if (!status.ok()) return ToAbsl(status);
    return response;
  }

  // The number that grpc.health.v1.HealthCheckResponse.status has.
  absl::StatusOr<int> CheckHealth(const CallOptions& options) {
    grpc::ClientContext context;
    SetDeadline(options.deadline, context);
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
  // Also held by calls, which may outlive the client.
  std::shared_ptr<KnownLimits> known_limits_ = std::make_shared<KnownLimits>();
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

absl::StatusOr<MergedResult> Client::MergePartials(const std::vector<PartialResult>& parts,
                                                   const CallOptions& options) {
  const auto request = EncodeMerge(parts);
  if (!request.ok()) return request.status();
  const auto response = impl_->MergePartials(*request, options);
  if (!response.ok()) return response.status();
  return DecodeMerge(*response);
}

AttendStream Client::OpenStream(const StreamOptions& options) { return AttendStream(impl_->OpenStream(options)); }

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
      .max_stream_requests = response->limits().max_stream_requests(),
      .max_stream_bytes = response->limits().max_stream_bytes(),
      .stream_stall_seconds = response->limits().stream_stall_seconds(),
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

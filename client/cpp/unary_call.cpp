#include "client/cpp/unary_call.h"

#include <absl/strings/str_cat.h>
#include <attnd/v1/attention.grpc.pb.h>
#include <grpcpp/support/slice.h>

#include <string>
#include <utility>

#include "client/cpp/grpc_values.h"
#include "client/cpp/response_message.h"

namespace attnd {

UnaryCall::UnaryCall(grpc::GenericStub& stub, std::vector<MessagePart> parts, const CallOptions& options) {
  static const std::string method = absl::StrCat("/", v1::AttentionService::service_full_name(), "/Attend");
  context_.emplace();
  SetDeadline(options.deadline, *context_);
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

UnaryCall::~UnaryCall() {
  UnaryCall::Cancel();
  done_.WaitForNotification();
}

void UnaryCall::Cancel() {
  absl::MutexLock lock(&mutex_);
  if (context_) context_->TryCancel();
}

bool UnaryCall::WaitUntil(absl::Time time) { return done_.WaitForNotificationWithDeadline(time); }

absl::StatusOr<AttendResult> UnaryCall::Take() {
  done_.WaitForNotification();
  if (!status_.ok()) return ToAbsl(status_);
  return DecodeResponse(&response_);
}

grpc::ByteBuffer UnaryCall::Refer(std::vector<MessagePart> parts) {
  std::vector<grpc::Slice> slices;
  for (const MessagePart& part : parts) {
    slices.emplace_back(part.owned);
    if (part.borrowed == nullptr) continue;
    holders_.fetch_add(1, std::memory_order_relaxed);
    // gRPC does not write to what it sends, though its type says that it could.
    slices.emplace_back(
        const_cast<void*>(part.borrowed), part.borrowed_size_bytes,
        [](void* call) { static_cast<UnaryCall*>(call)->Release(); }, this);
  }
  return {slices.data(), slices.size()};
}

void UnaryCall::Release() {
  if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.Notify();
}

}  // namespace attnd

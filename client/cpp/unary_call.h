// A call that goes as one message each way.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <optional>
#include <vector>

#include "client/cpp/call_state.h"
#include "client/cpp/request_message.h"

namespace attnd {

// What a call needs while it is on its way. It is done when gRPC has said how the call ended and has let go of every
// piece of the caller's memory, which comes in any order: a connection may still hold bytes of a call that was
// cancelled. What gRPC keeps for another attempt it lets go only with the call, so the call goes as soon as it has
// ended.
class UnaryCall final : public CallState {
 public:
  UnaryCall(grpc::GenericStub& stub, std::vector<MessagePart> parts, const CallOptions& options);
  ~UnaryCall() override;

  void Cancel() override;
  bool WaitUntil(absl::Time time) override;
  absl::StatusOr<AttendResult> Take() override;

 private:
  grpc::ByteBuffer Refer(std::vector<MessagePart> parts);
  // Whoever is last wakes the caller, who may then destroy this.
  void Release();

  absl::Mutex mutex_;
  // There until gRPC has said how the call ended.
  std::optional<grpc::ClientContext> context_ ABSL_GUARDED_BY(mutex_);
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;
  // Set before done_.
  grpc::Status status_;
  // The call itself, and the slices that refer to the caller's memory.
  std::atomic<int> holders_ = 1;
  absl::Notification done_;
};

}  // namespace attnd

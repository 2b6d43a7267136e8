// Calls of gRPC without attnd's client: ready messages go, and answers are dropped. On a channel with the client's
// settings.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <deque>
#include <memory>
#include <string>

namespace attnd::bench {

// Sends the message and waits for the answer. Ends the process where the call fails. Thread-safe.
grpc::ByteBuffer BareCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                          const grpc::ByteBuffer& message);

// Calls of one stream, which are answered in their order. Thread-safe.
class BareStream final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  BareStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method);
  // Ends the stream and waits for that. No call may be under way.
  ~BareStream() override;
  BareStream(const BareStream&) = delete;
  BareStream& operator=(const BareStream&) = delete;

  // Sends the message, which must stay, and waits for its answer.
  void Call(const grpc::ByteBuffer& message);

 private:
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  grpc::ClientContext context_;
  grpc::ByteBuffer answer_;
  absl::Notification done_;

  absl::Mutex mutex_;
  std::deque<const grpc::ByteBuffer*> unsent_ ABSL_GUARDED_BY(mutex_);
  std::deque<absl::Notification*> waiting_ ABSL_GUARDED_BY(mutex_);
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnd::bench

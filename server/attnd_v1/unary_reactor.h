// One unary call over gRPC whose message holds tensors.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>

#include <functional>
#include <optional>

#include "server/request_call.h"

namespace attnd::server::attnd_v1 {

// Starts its own reads, so that what did not arrive whole never reaches the decoder: a method that gRPC reads for would
// also run, on an empty buffer, after an upload that was cut. Two things run side by side: the request that the first
// message holds, and a second read, which must find the end of the stream. An answer goes out when both are done, a
// refusal at once. Deletes itself when gRPC is done with it.
class UnaryReactor : public grpc::ServerGenericBidiReactor {
 public:
  ~UnaryReactor() override = default;

  void OnReadDone(bool ok) final;
  void OnWriteDone(bool ok) final;
  void OnCancel() final { GiveUp(); }
  void OnDone() final { delete this; }

 protected:
  // Makes the answer's message. Is called once, when it is sent.
  using Reply = std::function<grpc::ByteBuffer()>;

  // `method` is its name for texts.
  UnaryReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call, const char* method);

  // The message has arrived whole. What this returns, where it is not OK, is the request's end; otherwise Conclude must
  // follow, here or on any thread.
  virtual absl::Status Start(grpc::ByteBuffer& message) = 0;
  // Nobody waits for the answer any more. From any thread.
  virtual void GiveUp() = 0;

  // What became of the request, once. The caller holds no reference to the reactor, which may be gone after it.
  void Conclude(absl::StatusOr<Reply> outcome);

 private:
  void OnFirstRead(bool ok);
  void OnSecondRead(bool ok);
  // What the call is to end with, at most once; nothing while that is open.
  std::optional<absl::StatusOr<Reply>> TakeConclusion() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const absl::StatusOr<Reply>& conclusion);
  // Ends the call once its answer has arrived.
  void FinishWhenTaken();

  grpc::GenericCallbackServerContext* const call_;
  const SendQueues& send_queues_;
  const char* const method_;

  // Each belongs to one of gRPC's operations while that is under way.
  grpc::ByteBuffer request_;  // empty once its elements are copied
  grpc::ByteBuffer second_message_;
  grpc::ByteBuffer response_;
  // Of an answer that is waited for.
  absl::Time sent_at_;
  std::optional<grpc::Alarm> alarm_;
  bool first_read_done_ = false;  // written before the second read is started

  absl::Mutex mutex_;
  // How the client's side ended, once it has.
  std::optional<absl::Status> stream_end_ ABSL_GUARDED_BY(mutex_);
  // What became of the request, once that is known.
  std::optional<absl::StatusOr<Reply>> outcome_ ABSL_GUARDED_BY(mutex_);
  bool concluded_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnd::server::attnd_v1

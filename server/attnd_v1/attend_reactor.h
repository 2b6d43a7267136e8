// One Attend call over gRPC.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "server/attend.h"

namespace attnd::server::attnd_v1 {

// A unary call that starts its own reads, so that what did not arrive whole never reaches the decoder. Two things run
// side by side: the problem that the first message holds, and a second read, which must find the end of the stream. An
// answer goes out when both are done, a refusal at once. Deletes itself when gRPC is done with it.
class AttendReactor final : public grpc::ServerGenericBidiReactor {
 public:
  AttendReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override { attend_.Cancel(); }
  void OnDone() override { delete this; }

 private:
  using AnswerOrStatus = absl::StatusOr<std::shared_ptr<const Answer>>;

  ~AttendReactor() override = default;

  void OnFirstRead(bool ok);
  void OnSecondRead(bool ok);
  absl::Status StartProblem();
  // Runs on a worker, which holds no reference to the reactor: once the answer is stored and the lock released, the
  // reactor may be gone unless this thread is the one that ends the call.
  void OnAnswer(AnswerOrStatus answer);
  // What the call is to end with, at most once; nothing while that is open.
  std::optional<AnswerOrStatus> TakeConclusion() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Conclude(const AnswerOrStatus& conclusion);
  void Send(const std::shared_ptr<const Answer>& answer);
  // Ends the call once its answer has arrived.
  void FinishWhenTaken();

  grpc::GenericCallbackServerContext* const call_;
  AttendCall attend_;
  const std::int64_t max_message_bytes_;
  const SendQueues& send_queues_;

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
  // What became of the problem, once that is known.
  std::optional<AnswerOrStatus> answer_ ABSL_GUARDED_BY(mutex_);
  bool concluded_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnd::server::attnd_v1

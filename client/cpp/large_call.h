// A call whose problem may need more than one message each way.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <thread>

#include "client/cpp/assembly.h"
#include "client/cpp/attend_stream.h"
#include "client/cpp/call_state.h"
#include "client/cpp/client.h"
#include "client/cpp/piece.h"
#include "client/cpp/piece_request.h"
#include "client/cpp/problem_sizes.h"
#include "client/cpp/server_limits.h"

namespace attnd {

// The most bytes of one message under these limits, so that the server also has memory for what it makes of it.
std::int64_t MaxMessageSizeBytes(const ServerLimits& limits);

// A thread that asks for the server's limits, unless they are known, and sends the problem as one message where they
// allow, else in pieces on a stream, a few of them at a time. Results are put in their places as they come.
class LargeCall final : public CallState {
 public:
  // `sizes` are SizesOf(request).
  static std::unique_ptr<CallState> Start(std::shared_ptr<grpc::Channel> channel,
                                          std::shared_ptr<KnownLimits> known_limits, const AttendRequest& request,
                                          const ProblemSizes& sizes, const CallOptions& options);
  ~LargeCall() override;

  void Cancel() override;
  bool WaitUntil(absl::Time time) override;
  absl::StatusOr<AttendResult> Take() override;

 private:
  // A call on its way; for a piece, with the copies that it sends.
  struct PartialCall {
    Piece piece = {};
    PieceRequest request = {};
    std::int64_t size_bytes = 0;
    std::unique_ptr<CallState> call = nullptr;
  };

  LargeCall(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<KnownLimits> known_limits,
            const AttendRequest& request, const ProblemSizes& sizes, const CallOptions& options);

  absl::StatusOr<AttendResult> Run();
  absl::StatusOr<ServerLimits> AskLimits();
  absl::StatusOr<AttendResult> AttendWhole();
  absl::StatusOr<AttendResult> AttendInPieces(const ServerLimits& limits);
  absl::Status StartPiece(AttendStream& stream, const Piece& piece);
  absl::Status FinishOldest(Assembly& assembly);

  // CANCELLED where the call was cancelled.
  absl::Status Push(PartialCall partial);
  absl::StatusOr<AttendResult> TakeOldest();
  void DropAll();

  const std::shared_ptr<grpc::Channel> channel_;
  const std::shared_ptr<KnownLimits> known_limits_;
  const AttendRequest request_;
  const ProblemSizes sizes_;
  const CallOptions options_;

  absl::Mutex mutex_;
  bool is_cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* asking_ ABSL_GUARDED_BY(mutex_) = nullptr;  // while limits are asked for
  // Changed by the thread alone, which therefore reads it without the lock.
  std::deque<PartialCall> in_flight_;
  std::int64_t in_flight_bytes_ = 0;

  // Set before done_.
  absl::StatusOr<AttendResult> result_ = absl::UnknownError("");
  absl::Notification done_;
  std::thread thread_;
};

}  // namespace attnd

// What stands behind an AttendStream: which call goes where, and how each ends.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/random/random.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>

#include "client/cpp/call_state.h"
#include "client/cpp/client.h"
#include "client/cpp/send_queue.h"
#include "client/cpp/stream_call.h"
#include "client/cpp/stream_connection.h"
#include "client/cpp/stream_window.h"

namespace attnd {

// A call waits in the queue until the connection sends it. When the server says UNAVAILABLE to a request, the
// connection is retired: what was sent whole may still be answered there, the rest goes to a new one. When a connection
// ends with UNAVAILABLE, all goes to a new one. Calls that have ended are forgotten, and what still comes for them is
// ignored.
class AttendStream::Impl final : public ConnectionOwner, public std::enable_shared_from_this<Impl> {
 public:
  Impl(const std::shared_ptr<grpc::Channel>& channel, const StreamOptions& options)
      : stub_(channel), window_(options) {}

  std::unique_ptr<CallState> Attend(const AttendRequest& request, const CallOptions& options);
  // There will be no other call.
  void Close();

 private:
  class Handle;
  using Calls = std::map<std::uint64_t, std::shared_ptr<StreamCall>>;

  // A connection, and what is on it.
  struct Line {
    std::shared_ptr<StreamConnection> connection;
    Calls calls;                        // by id
    std::deque<std::uint64_t> cancels;  // ids, to be sent
  };

  Next NextMessage(StreamConnection& connection, grpc::ByteBuffer& message) override;
  absl::Status OnMessage(StreamConnection& connection, grpc::ByteBuffer& message) override;
  void OnEnd(StreamConnection& connection, const absl::Status& status) override;

  // Ends a call with `why`, unless it has ended.
  void GiveUp(StreamCall& call, const absl::Status& why);
  // Connects where there is need, and lets the connection send.
  void Run();
  // Lets those that have to begin again wait a little, the longer the more often they have.
  void PauseAfter(int failed_attempts) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes no more calls to the connection.
  void Retire(const StreamConnection& connection) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Lets a call that met UNAVAILABLE begin again, or end with that.
  void TryAgain(const std::shared_ptr<StreamCall>& call, const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A call leaves its connection, and begins again.
  void Requeue(const std::shared_ptr<StreamCall>& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(StreamCall& call, absl::StatusOr<AttendResult> result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishUnlessRead(StreamCall& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  grpc::GenericStub stub_;
  StreamWindow window_;

  absl::Mutex mutex_;
  Calls calls_ ABSL_GUARDED_BY(mutex_);      // by number; all that have not ended
  SendQueue queue_ ABSL_GUARDED_BY(mutex_);  // those of them that have something to send
  std::map<const StreamConnection*, Line> lines_ ABSL_GUARDED_BY(mutex_);
  // The one that takes calls; null where there is none.
  std::shared_ptr<StreamConnection> connection_ ABSL_GUARDED_BY(mutex_);
  bool is_closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::BitGen random_ ABSL_GUARDED_BY(mutex_);
  // Rings when it is time to connect again; null where nobody waits for that.
  std::unique_ptr<grpc::Alarm> pause_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnd

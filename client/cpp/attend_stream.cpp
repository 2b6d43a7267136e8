#include "client/cpp/attend_stream.h"

#include <absl/random/distributions.h>
#include <absl/time/clock.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "client/cpp/answer_shapes.h"
#include "client/cpp/request_message.h"
#include "client/cpp/stream_message.h"

namespace attnd {
namespace {

// As channel.cpp has it for calls that are no streams.
constexpr int kMaxAttempts = 5;
constexpr absl::Duration kFirstPause = absl::Milliseconds(100);

absl::Status DeadlinePassed() { return absl::DeadlineExceededError("the call's deadline passed"); }

}  // namespace

// What the caller holds of a call.
class AttendStream::Impl::Handle final : public CallState {
 public:
  Handle(std::shared_ptr<Impl> stream, std::shared_ptr<StreamCall> call)
      : stream_(std::move(stream)), call_(std::move(call)) {}
  ~Handle() override {
    Handle::Cancel();
    call_->done.WaitForNotification();
  }

  void Cancel() override { stream_->GiveUp(*call_, absl::CancelledError("the call was cancelled")); }
  bool WaitUntil(absl::Time time) override { return call_->done.WaitForNotificationWithDeadline(time); }
  absl::StatusOr<AttendResult> Take() override {
    call_->done.WaitForNotification();
    return std::move(call_->result);
  }

 private:
  const std::shared_ptr<Impl> stream_;
  const std::shared_ptr<StreamCall> call_;
};

std::unique_ptr<CallState> AttendStream::Impl::Attend(const AttendRequest& request, const CallOptions& options) {
  auto described = DescribeRequest(request);
  if (!described.ok()) return std::make_unique<FailedCall>(described.status());
  auto call = std::make_shared<StreamCall>(*std::move(described), ShapesOfAnswer(request), options.deadline);
  if (!window_.Enter(call->size_bytes, call->deadline)) return std::make_unique<FailedCall>(DeadlinePassed());
  {
    absl::MutexLock lock(&mutex_);
    call->number = ++last_number_;
    calls_.emplace(call->number, call);
    queue_.Add(call);
  }
  auto handle = std::make_unique<Handle>(shared_from_this(), call);
  if (call->deadline != absl::InfiniteFuture()) {
    // gRPC takes what lies too far back for no deadline at all.
    call->alarm.Set(absl::ToChronoTime(std::max(call->deadline, absl::UnixEpoch())),
                    [stream = weak_from_this(), weak_call = std::weak_ptr(call)](bool rang) {
                      const auto owner = stream.lock();
                      const auto late = weak_call.lock();
                      if (rang && owner && late) owner->GiveUp(*late, DeadlinePassed());
                    });
  }
  Run();
  return handle;
}

void AttendStream::Impl::Close() {
  std::vector<std::shared_ptr<StreamConnection>> connections;
  {
    absl::MutexLock lock(&mutex_);
    is_closed_ = true;
    for (const auto& [_, line] : lines_) connections.push_back(line.connection);
  }
  for (const auto& connection : connections) connection->Wake();
}

void AttendStream::Impl::GiveUp(StreamCall& call, const absl::Status& why) {
  std::shared_ptr<StreamConnection> connection;
  {
    absl::MutexLock lock(&mutex_);
    if (call.has_ended) return;
    if (call.connection != nullptr) {
      Line& line = lines_.at(call.connection);
      line.cancels.push_back(call.id);
      connection = line.connection;
    } else {
      connection = connection_;
    }
    End(call, why);
  }
  if (connection) connection->Wake();
}

void AttendStream::Impl::Run() {
  std::shared_ptr<StreamConnection> connection;
  std::shared_ptr<StreamConnection> created;
  {
    absl::MutexLock lock(&mutex_);
    if (!connection_ && !pause_ && !queue_.empty()) {
      connection_ = created = StreamConnection::Create(stub_, shared_from_this());
      lines_[created.get()].connection = created;
    }
    connection = connection_;
  }
  if (created) created->Start();
  if (connection) connection->Wake();
}

ConnectionOwner::Next AttendStream::Impl::NextMessage(StreamConnection& connection, grpc::ByteBuffer& message) {
  std::shared_ptr<StreamCall> call;
  std::uint64_t id = 0;
  RequestPiece piece;
  {
    absl::MutexLock lock(&mutex_);
    Line& line = lines_.at(&connection);
    if (!line.cancels.empty()) {
      message = EncodeCancel(line.cancels.front());
      line.cancels.pop_front();
      return Next::kMessage;
    }
    const bool is_current = connection_.get() == &connection;
    if (is_current) call = queue_.Next();
    if (!call) {
      if (!line.calls.empty() || (is_current && !is_closed_)) return Next::kNothing;
      if (is_current) connection_.reset();
      return Next::kEnd;
    }
    if (call->connection == nullptr) {
      call->connection = &connection;
      call->id = ++last_id_;
      line.calls.emplace(call->id, call);
    }
    id = call->id;
    piece = call->NextPiece();
    call->is_sent = piece.is_last;
    if (call->is_sent) queue_.Remove(*call);
    ++call->readers;
  }
  message = call->Encode(id, piece);
  absl::MutexLock lock(&mutex_);
  --call->readers;
  FinishUnlessRead(*call);
  return Next::kMessage;
}

absl::Status AttendStream::Impl::OnMessage(StreamConnection& connection, grpc::ByteBuffer& message) {
  const auto envelope = DecodeEnvelope(&message);
  if (!envelope.ok()) return envelope.status();
  std::shared_ptr<StreamCall> call;
  {
    absl::MutexLock lock(&mutex_);
    const Calls& calls = lines_.at(&connection).calls;
    const auto found = calls.find(envelope->id);
    if (found == calls.end()) return absl::OkStatus();
    call = found->second;
  }
  const absl::Status added = call->answer->Add(*envelope, &message);
  if (!envelope->status) {
    if (!added.ok()) GiveUp(*call, added);
    return absl::OkStatus();
  }
  absl::StatusOr<AttendResult> result = absl::UnknownError("");
  if (!envelope->status->ok()) {
    result = *envelope->status;
  } else if (!added.ok()) {
    result = added;
  } else {
    result = call->answer->Finish();
  }
  {
    absl::MutexLock lock(&mutex_);
    if (absl::IsUnavailable(result.status())) {
      Retire(connection);
      TryAgain(call, result.status());
      PauseAfter(call->failed_attempts);
    } else {
      End(*call, std::move(result));
    }
  }
  Run();
  connection.Wake();  // it may have nothing left to do
  return absl::OkStatus();
}

void AttendStream::Impl::OnEnd(StreamConnection& connection, const absl::Status& status) {
  const absl::Status why =
      status.ok() ? absl::InternalError("the server ended the stream before it had answered") : status;
  absl::MutexLock lock(&mutex_);
  const bool was_current = connection_.get() == &connection;
  if (was_current) connection_.reset();
  std::vector<std::shared_ptr<StreamCall>> lost;
  for (const auto& [_, call] : calls_) {
    if (call->connection == &connection || (was_current && call->connection == nullptr)) lost.push_back(call);
  }
  int failed_attempts = 0;
  for (const auto& call : lost) {
    if (absl::IsUnavailable(why)) {
      TryAgain(call, why);
      failed_attempts = std::max(failed_attempts, call->failed_attempts);
    } else {
      End(*call, why);
    }
  }
  lines_.erase(&connection);
  PauseAfter(failed_attempts);
}

void AttendStream::Impl::Retire(const StreamConnection& connection) {
  if (connection_.get() != &connection) return;
  connection_.reset();
  Line& line = lines_.at(&connection);
  for (const auto& [id, call] : Calls(line.calls)) {
    if (call->is_sent) continue;
    line.cancels.push_back(id);
    Requeue(call);
  }
}

void AttendStream::Impl::TryAgain(const std::shared_ptr<StreamCall>& call, const absl::Status& why) {
  if (call->has_ended) return;
  if (++call->failed_attempts < kMaxAttempts) {
    Requeue(call);
  } else {
    End(*call, why);
  }
}

void AttendStream::Impl::Requeue(const std::shared_ptr<StreamCall>& call) {
  if (call->connection != nullptr) lines_.at(call->connection).calls.erase(call->id);
  queue_.Remove(*call);
  call->Rewind();
  queue_.Add(call);
}

void AttendStream::Impl::PauseAfter(int failed_attempts) {
  if (queue_.empty() || connection_ || pause_) return;
  const double part = absl::Uniform(random_, 0.0, 1.0);
  const absl::Duration pause = part * kFirstPause * (1 << std::max(failed_attempts - 1, 0));
  pause_ = std::make_unique<grpc::Alarm>();
  pause_->Set(absl::ToChronoTime(absl::Now() + pause), [self = shared_from_this()](bool /*rang*/) {
    {
      absl::MutexLock lock(&self->mutex_);
      self->pause_.reset();
    }
    self->Run();
  });
}

void AttendStream::Impl::End(StreamCall& call, absl::StatusOr<AttendResult> result) {
  if (call.has_ended) return;
  call.has_ended = true;
  call.result = std::move(result);
  if (call.connection != nullptr) lines_.at(call.connection).calls.erase(call.id);
  queue_.Remove(call);
  FinishUnlessRead(call);
  calls_.erase(call.number);
}

void AttendStream::Impl::FinishUnlessRead(StreamCall& call) {
  if (!call.has_ended || call.readers > 0) return;
  window_.Leave(call.size_bytes);
  call.done.Notify();
}

AttendStream::AttendStream(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
AttendStream::AttendStream(AttendStream&&) noexcept = default;

AttendStream& AttendStream::operator=(AttendStream&& other) noexcept {
  if (impl_) impl_->Close();
  impl_ = std::move(other.impl_);
  return *this;
}

AttendStream::~AttendStream() {
  if (impl_) impl_->Close();
}

AttendCall AttendStream::Attend(const AttendRequest& request, const CallOptions& options) {
  return AttendCall(impl_->Attend(request, options));
}

}  // namespace attnd

#include "server/attnd_v1/unary_reactor.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <absl/time/clock.h>

#include <utility>

#include "server/attnd_v1/status_mapping.h"

namespace attnd::server::attnd_v1 {
namespace {

// The code that gRPC's table of status codes has for a wrong number of request messages.
absl::Status NotOneMessage(absl::string_view found, absl::string_view method) {
  return absl::UnimplementedError(absl::StrCat(found, " found, ", method, " takes exactly one"));
}

}  // namespace

UnaryReactor::UnaryReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call, const char* method)
    : call_(call), send_queues_(*context.send_queues), method_(method) {
  // gRPC reacts to nothing before the reactor is made and handed to it.
  StartRead(&request_);
}

void UnaryReactor::OnReadDone(bool ok) {
  if (std::exchange(first_read_done_, true)) {
    OnSecondRead(ok);
  } else {
    OnFirstRead(ok);
  }
}

void UnaryReactor::OnFirstRead(bool ok) {
  if (ok) {
    StartRead(&second_message_);
    // gRPC deletes nothing before this reaction returns, however soon the answer is there.
    if (absl::Status status = Start(request_); !status.ok()) Conclude(status);
    return;
  }
  // Nothing arrived, or not the whole of it: a cut, reset or refused upload, whose status gRPC has already chosen.
  Conclude(call_->IsCancelled() ? absl::CancelledError("the request did not arrive whole")
                                : NotOneMessage("no whole request message", method_));
}

void UnaryReactor::OnSecondRead(bool ok) {
  absl::Status end;
  if (ok) {
    end = NotOneMessage("a second request message", method_);
    second_message_.Clear();
    GiveUp();
  } else if (call_->IsCancelled()) {
    end = absl::CancelledError("the caller went away");
  }
  std::optional<absl::StatusOr<Reply>> conclusion;
  {
    absl::MutexLock lock(&mutex_);
    stream_end_ = std::move(end);
    conclusion = TakeConclusion();
  }
  if (conclusion.has_value()) End(*conclusion);
}

void UnaryReactor::Conclude(absl::StatusOr<Reply> outcome) {
  std::optional<absl::StatusOr<Reply>> conclusion;
  {
    absl::MutexLock lock(&mutex_);
    outcome_ = std::move(outcome);
    conclusion = TakeConclusion();
  }
  if (conclusion.has_value()) End(*conclusion);
}

std::optional<absl::StatusOr<UnaryReactor::Reply>> UnaryReactor::TakeConclusion() {
  if (concluded_ || !outcome_.has_value()) return std::nullopt;
  if (outcome_->ok() && !stream_end_.has_value()) return std::nullopt;
  concluded_ = true;
  // A stream that ended wrongly has more to say than what became of its first message.
  if (stream_end_.has_value() && !stream_end_->ok()) return absl::StatusOr<Reply>(*stream_end_);
  return std::exchange(outcome_, std::nullopt);
}

void UnaryReactor::End(const absl::StatusOr<Reply>& conclusion) {
  if (!conclusion.ok()) {
    Finish(ToGrpcStatus(conclusion.status()));
    return;
  }
  response_ = (*conclusion)();
  if (send_queues_.is_watched()) {
    StartWrite(&response_);
  } else {
    StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
  }
}

void UnaryReactor::OnWriteDone(bool /*ok*/) {
  sent_at_ = absl::Now();
  FinishWhenTaken();
}

void UnaryReactor::FinishWhenTaken() {
  if (call_->IsCancelled() || send_queues_.IsTaken(sent_at_)) {
    Finish(grpc::Status::OK);
    return;
  }
  const absl::Time next = absl::Now() + SendQueues::kSampleInterval;
  // A new one each time, since the last may be what calls this.
  alarm_.emplace().Set(absl::ToChronoTime(next), [this](bool /*expired*/) { FinishWhenTaken(); });
}

}  // namespace attnd::server::attnd_v1

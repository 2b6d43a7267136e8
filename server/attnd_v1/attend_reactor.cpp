#include "server/attnd_v1/attend_reactor.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstdint>
#include <utility>

#include "server/attnd_v1/decode.h"
#include "server/attnd_v1/encode.h"
#include "server/attnd_v1/status_mapping.h"

namespace attnd::server::attnd_v1 {
namespace {

// The code that gRPC's table of status codes has for a wrong number of request messages.
absl::Status NotOneMessage(absl::string_view found) {
  return absl::UnimplementedError(absl::StrCat(found, " found, Attend takes exactly one"));
}

}  // namespace

AttendReactor::AttendReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call)
    : call_(call),
      attend_(context, absl::FromChrono(call->deadline())),
      max_message_bytes_(context.max_message_bytes),
      send_queues_(*context.send_queues) {
  StartRead(&request_);
}

void AttendReactor::OnReadDone(bool ok) {
  if (std::exchange(first_read_done_, true)) {
    OnSecondRead(ok);
  } else {
    OnFirstRead(ok);
  }
}

void AttendReactor::OnFirstRead(bool ok) {
  if (ok) {
    StartRead(&second_message_);
    // gRPC deletes nothing before this reaction returns, however soon the answer is there.
    if (absl::Status status = StartProblem(); !status.ok()) OnAnswer(status);
    return;
  }
  // Nothing arrived, or not the whole of it: a cut, reset or refused upload, whose status gRPC has already chosen.
  OnAnswer(call_->IsCancelled() ? absl::CancelledError("the request did not arrive whole")
                                : NotOneMessage("no whole request message"));
}

void AttendReactor::OnSecondRead(bool ok) {
  absl::Status end;
  if (ok) {
    end = NotOneMessage("a second request message");
    second_message_.Clear();
    attend_.Cancel();
  } else if (call_->IsCancelled()) {
    end = absl::CancelledError("the caller went away");
  }
  std::optional<AnswerOrStatus> conclusion;
  {
    absl::MutexLock lock(&mutex_);
    stream_end_ = std::move(end);
    conclusion = TakeConclusion();
  }
  if (conclusion.has_value()) Conclude(*conclusion);
}

absl::Status AttendReactor::StartProblem() {
  const auto message_size_bytes = static_cast<std::int64_t>(request_.Length());
  if (absl::Status status = attend_.Receive(message_size_bytes); !status.ok()) return status;
  grpc::ProtoBufferReader scanned_message(&request_);
  ScannedMessage scanned;
  if (absl::Status status = ScanRequest(scanned_message, message_size_bytes, scanned); !status.ok()) return status;
  const auto header_bytes = static_cast<std::int64_t>(scanned.header.size());
  if (absl::Status status = attend_.ReserveForParsing(kMaxParsedBytesPerHeaderByte * header_bytes); !status.ok()) {
    return status;
  }
  const absl::StatusOr<v1::AttendRequest> parsed = ParseRequest(scanned);
  if (!parsed.ok()) return parsed.status();
  const absl::StatusOr<core::ProblemDescription> description = ToDescription(*parsed, scanned);
  if (!description.ok()) return description.status();
  const absl::StatusOr<InputMemory> memory = attend_.Open(*description, max_message_bytes_);
  if (!memory.ok()) return memory.status();
  {
    grpc::ProtoBufferReader copied_message(&request_);
    CopyPayloads(copied_message, scanned, *memory);
  }
  request_.Clear();
  attend_.ReleaseMessage();
  attend_.Compute(header_bytes, [this](AnswerOrStatus answer) { OnAnswer(std::move(answer)); });
  return absl::OkStatus();
}

void AttendReactor::OnAnswer(AnswerOrStatus answer) {
  std::optional<AnswerOrStatus> conclusion;
  {
    absl::MutexLock lock(&mutex_);
    answer_ = std::move(answer);
    conclusion = TakeConclusion();
  }
  if (conclusion.has_value()) Conclude(*conclusion);
}

void AttendReactor::Conclude(const AnswerOrStatus& conclusion) {
  if (conclusion.ok()) {
    Send(*conclusion);
  } else {
    Finish(ToGrpcStatus(conclusion.status()));
  }
}

std::optional<AttendReactor::AnswerOrStatus> AttendReactor::TakeConclusion() {
  if (concluded_ || !answer_.has_value()) return std::nullopt;
  if (answer_->ok() && !stream_end_.has_value()) return std::nullopt;
  concluded_ = true;
  // A stream that ended wrongly has more to say than what became of its first message.
  if (stream_end_.has_value() && !stream_end_->ok()) return AnswerOrStatus(*stream_end_);
  return std::exchange(answer_, std::nullopt);
}

void AttendReactor::Send(const std::shared_ptr<const Answer>& answer) {
  response_ = Encode(answer, attend_.EncodeSeconds());
  const auto sent_bytes = static_cast<std::int64_t>(response_.Length());
  attend_.EndEncode(sent_bytes);
  if (send_queues_.is_watched()) {
    StartWrite(&response_);
  } else {
    StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
  }
}

void AttendReactor::OnWriteDone(bool /*ok*/) {
  sent_at_ = absl::Now();
  FinishWhenTaken();
}

void AttendReactor::FinishWhenTaken() {
  if (call_->IsCancelled() || send_queues_.IsTaken(sent_at_)) {
    Finish(grpc::Status::OK);
    return;
  }
  const absl::Time next = absl::Now() + SendQueues::kSampleInterval;
  // A new one each time, since the last may be what calls this.
  alarm_.emplace().Set(absl::ToChronoTime(next), [this](bool /*expired*/) { FinishWhenTaken(); });
}

}  // namespace attnd::server::attnd_v1

#include "server/attnd_v1/stream_reactor.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <grpc/grpc.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "server/attnd_v1/open_streams.h"
#include "server/attnd_v1/status_mapping.h"
#include "server/attnd_v1/to_description.h"

namespace attnd::server::attnd_v1 {
namespace {

using Content = v1::StreamAttendRequest::ContentCase;

// The slowest that a client may take an answer, beyond the time that it may stand still: without this an answer that is
// one large message would have to be taken within that time.
constexpr double kSlowestReaderBytesPerSecond = 1 << 20;

// What is known of a part or a cancellation is much shorter than this, and so needs no memory to be reserved.
constexpr std::size_t kMaxSmallHeaderBytes = 128;

absl::Status CheckTimeout(const v1::StreamAttendRequest& parsed) {
  if (!parsed.has_timeout_seconds() || parsed.timeout_seconds() > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("timeout_seconds: ", parsed.timeout_seconds(), " found, more than 0 expected"));
}

// The parsed message, which is no beginning of a request.
absl::StatusOr<v1::StreamAttendRequest> ParseSmall(const ScannedMessage& scanned) {
  if (scanned.header.size() > kMaxSmallHeaderBytes) {
    return absl::InvalidArgumentError(absl::StrCat("request: ", scanned.header.size(),
                                                   " bytes found outside of part.data, at most ", kMaxSmallHeaderBytes,
                                                   " expected beside a part or a cancellation"));
  }
  absl::StatusOr<v1::StreamAttendRequest> parsed = ParseStreamRequest(scanned);
  if (parsed.ok() && parsed->has_timeout_seconds()) {
    return absl::InvalidArgumentError("timeout_seconds: found, none expected beside a part or a cancellation");
  }
  return parsed;
}

absl::StatusOr<core::ProblemDescription> Describe(const v1::StreamAttendRequest& parsed,
                                                  const ScannedMessage& scanned) {
  if (!parsed.has_start()) return ToDescription(parsed.request(), scanned);
  const v1::StreamStart& start = parsed.start();
  return ToDescription(start.has_problem() ? &start.problem() : nullptr,
                       {{start.query_size_bytes(), start.key_size_bytes(), start.value_size_bytes(),
                         start.mask_size_bytes(), start.bias_size_bytes(), start.query_segment_ids_size_bytes(),
                         start.key_segment_ids_size_bytes(), start.block_mask_size_bytes()}});
}

absl::Status ShuttingDown() { return absl::UnavailableError("the server shuts down"); }

}  // namespace

grpc::ServerGenericBidiReactor* StreamReactor::Start(const AttendContext& context,
                                                     grpc::GenericCallbackServerContext* call, OpenStreams& streams) {
  auto stream = std::make_shared<StreamReactor>(context, call, streams);
  {
    absl::MutexLock lock(&stream->mutex_);
    stream->self_ = stream;
    stream->Proceed();
  }
  streams.Add(stream);
  return stream.get();
}

StreamReactor::StreamReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call,
                             OpenStreams& streams)
    : context_(context), call_(call), streams_(streams) {}

// ---- What gRPC, the server and the alarm say
// --------------------------------------------------------------------------

void StreamReactor::OnReadDone(bool ok) {
  {
    absl::MutexLock lock(&mutex_);
    is_reading_ = false;
    if (is_closing_ || is_abandoned_) {
      message_.Clear();
      Proceed();
      return;
    }
    if (!ok) {
      // Half-closed, or cut: then gRPC has already chosen how the call ends.
      if (call_->IsCancelled()) {
        Abandon(absl::CancelledError("the caller went away"));
      } else {
        Close(absl::OkStatus());
      }
      Proceed();
      return;
    }
    is_taking_ = true;
  }
  absl::Status status = TakeMessage();
  message_.Clear();
  Request* whole = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    is_taking_ = false;
    if (!status.ok()) Abandon(std::move(status));
    Proceed();
    whole = std::exchange(whole_, nullptr);
  }
  if (whole != nullptr) Compute(*whole);
}

void StreamReactor::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  is_writing_ = false;
  written_at_ = absl::Now();
  if (ending_ != nullptr) {
    if (ending_->attend != nullptr) waiting_bytes_ -= ending_->attend->held_bytes();
    ending_ = nullptr;
  }
  if (!ok) Abandon(absl::CancelledError("the caller went away"));
  Proceed();
}

void StreamReactor::OnCancel() {
  absl::MutexLock lock(&mutex_);
  Abandon(absl::CancelledError("the caller went away"));
  Proceed();
}

void StreamReactor::OnDone() {
  std::shared_ptr<StreamReactor> self;
  {
    // gRPC has put all reactions before this one; the lock puts them before the end of a worker's hold, too.
    absl::MutexLock lock(&mutex_);
    self = std::move(self_);
  }
  streams_.Remove(self);
}

void StreamReactor::Drain() {
  absl::MutexLock lock(&mutex_);
  Close(ShuttingDown());
  Proceed();
}

void StreamReactor::OnAlarm() {
  grpc_call* stalled = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    alarm_at_ = absl::InfiniteFuture();
    const absl::Time now = absl::Now();
    for (auto it = arriving_.begin(); it != arriving_.end();) {
      Request& request = *(it++)->second;  // which may be gone after this
      if (now >= request.attend->deadline()) {
        EndArriving(request, absl::DeadlineExceededError("deadline: passed before the request had arrived whole"));
      } else if (now >= StallsAt(request)) {
        EndArriving(request, absl::DeadlineExceededError(absl::StrCat("part: none came for ",
                                                                      absl::ToDoubleSeconds(context_.stream_stall),
                                                                      " seconds (limits.stream_stall_seconds)")));
      }
    }
    if (is_writing_ && now >= writing_stalls_at_ && !is_finished_) {
      stalled = call_->c_call();
      grpc_call_ref(stalled);
    }
    Proceed();
  }
  if (stalled == nullptr) return;
  // Without the lock: this runs reactions.
  grpc_call_cancel_with_status(stalled, GRPC_STATUS_DEADLINE_EXCEEDED,
                               "no answer was taken for limits.stream_stall_seconds", nullptr);
  grpc_call_unref(stalled);
}

// ---- What comes
// -------------------------------------------------------------------------------------------------------

absl::Status StreamReactor::TakeMessage() {
  ScannedMessage scanned;
  absl::Status status;
  {
    grpc::ProtoBufferReader reader(&message_);
    status = ScanStreamRequest(reader, static_cast<std::int64_t>(message_.Length()), scanned);
  }
  const std::uint64_t id = ReadStreamId(scanned);
  if (id == 0) return absl::InvalidArgumentError("id: not found before other fields, a number of at least 1 expected");
  if (status.ok()) {
    TakeScanned(id, scanned);
  } else {
    absl::MutexLock lock(&mutex_);
    Refuse(id, status);
  }
  return absl::OkStatus();
}

void StreamReactor::TakeScanned(std::uint64_t id, const ScannedMessage& scanned) {
  if (scanned.content == Content::kRequest || scanned.content == Content::kStart) {
    TakeRequest(id, scanned);
    return;
  }
  const absl::StatusOr<v1::StreamAttendRequest> parsed = ParseSmall(scanned);
  if (parsed.ok() && parsed->has_part()) {
    TakePart(id, parsed->part(), scanned);
    return;
  }
  absl::MutexLock lock(&mutex_);
  if (!parsed.ok()) {
    Refuse(id, parsed.status());
  } else if (!parsed->has_cancel()) {
    Refuse(id, absl::InvalidArgumentError("content: not given, one of its members expected"));
  } else if (id > last_id_) {
    Refuse(id, absl::InvalidArgumentError(absl::StrCat("id: ", id, " found, which has not begun, in a cancellation")));
  } else {
    End(id, absl::CancelledError("cancelled by the caller"));
  }
}

void StreamReactor::TakeRequest(std::uint64_t id, const ScannedMessage& scanned) {
  {
    absl::MutexLock lock(&mutex_);
    if (id <= last_id_) {
      const absl::Status status = absl::InvalidArgumentError(
          absl::StrCat("id: ", id, " found, more than ", last_id_, ", the largest one so far, expected"));
      if (!End(id, status)) AnswerWithStatus(id, status);
      return;
    }
    last_id_ = id;
    if (scanned.content == Content::kStart && arriving_.size() >= kMaxStreamRequests) {
      AnswerWithStatus(id, absl::ResourceExhaustedError(absl::StrCat(
                               "start: ", arriving_.size(), " requests of this stream are arriving in parts, at most ",
                               kMaxStreamRequests, " (limits.max_stream_requests) expected; retry later")));
      return;
    }
  }
  auto request = std::make_unique<Request>(id);
  request->attend = std::make_unique<AttendCall>(context_, absl::FromChrono(call_->deadline()));
  absl::Status status = Open(scanned, *request);

  absl::MutexLock lock(&mutex_);
  if (status.ok() && request->in_parts && is_closing_) status = ShuttingDown();
  if (!status.ok()) {
    AnswerWithStatus(id, std::move(status));
  } else if (request->in_parts) {
    arriving_[id] = std::move(request);
  } else {
    Wait(std::move(request));
  }
}

absl::Status StreamReactor::Open(const ScannedMessage& scanned, Request& request) {
  AttendCall& attend = *request.attend;
  request.parsed_size_bytes = static_cast<std::int64_t>(scanned.header.size());
  absl::Status status = attend.Receive(static_cast<std::int64_t>(message_.Length()));
  if (status.ok()) status = attend.ReserveForParsing(kMaxParsedBytesPerHeaderByte * request.parsed_size_bytes);
  if (!status.ok()) return status;
  const absl::StatusOr<v1::StreamAttendRequest> parsed = ParseStreamRequest(scanned);
  if (!parsed.ok()) return parsed.status();
  if (status = CheckTimeout(*parsed); !status.ok()) return status;
  if (parsed->has_timeout_seconds()) attend.LimitDeadline(absl::Now() + absl::Seconds(parsed->timeout_seconds()));
  const absl::StatusOr<core::ProblemDescription> description = Describe(*parsed, scanned);
  if (!description.ok()) return description.status();

  request.in_parts = parsed->has_start();
  // What comes and goes in parts is bounded by the bytes in flight alone.
  const absl::StatusOr<InputMemory> memory =
      attend.Open(*description, request.in_parts ? INT64_MAX : context_.max_message_bytes);
  if (!memory.ok()) return memory.status();
  if (request.in_parts) {
    request.tensors.emplace(*description, *memory);
    request.last_part_at = absl::Now();
  } else {
    grpc::ProtoBufferReader reader(&message_);
    CopyPayloads(reader, scanned, *memory);
  }
  message_.Clear();
  attend.ReleaseMessage();
  return absl::OkStatus();
}

void StreamReactor::TakePart(std::uint64_t id, const v1::TensorPart& part, const ScannedMessage& scanned) {
  context_.metrics->AddReceivedBytes(static_cast<std::int64_t>(message_.Length()));
  Request* request = nullptr;
  std::byte* place = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = arriving_.find(id);
    if (found == arriving_.end()) {
      Refuse(id, absl::InvalidArgumentError(id > last_id_ ? "part: found before the request's start"
                                                          : "part: found after the request was complete"));
      return;
    }
    request = found->second.get();
    const absl::StatusOr<std::byte*> next =
        request->tensors->Place(part.tensor(), part.offset_bytes(), scanned.part.size_bytes);
    if (!next.ok()) {
      EndArriving(*request, next.status());
      return;
    }
    place = *next;
    request->is_copying = true;
  }
  AddPart(*request, scanned, part.tensor(), place);
}

void StreamReactor::AddPart(Request& request, const ScannedMessage& scanned, v1::TensorName tensor, std::byte* place) {
  {
    grpc::ProtoBufferReader reader(&message_);
    CopyPart(reader, scanned, place);
  }
  message_.Clear();
  absl::MutexLock lock(&mutex_);
  request.is_copying = false;
  request.last_part_at = absl::Now();
  request.tensors->Add(tensor, scanned.part.size_bytes);
  if (!request.verdict.ok()) {
    EndArriving(request, request.verdict);
  } else if (request.tensors->is_complete()) {
    Wait(std::move(arriving_.extract(request.answer.id()).mapped()));
  }
}

// ---- What becomes of requests
// -----------------------------------------------------------------------------------------

void StreamReactor::Wait(std::unique_ptr<Request> request) {
  if (is_abandoned_) return;
  waiting_bytes_ += request->attend->held_bytes();
  whole_ = request.get();
  computing_[request->answer.id()] = std::move(request);
}

void StreamReactor::Compute(Request& request) {
  request.attend->Compute(request.parsed_size_bytes, [self = shared_from_this(), id = request.answer.id()](
                                                         absl::StatusOr<std::shared_ptr<const Answer>> answer) {
    self->OnAnswer(id, std::move(answer));
  });
}

void StreamReactor::OnAnswer(std::uint64_t id, absl::StatusOr<std::shared_ptr<const Answer>> answer) {
  std::unique_ptr<Request> dropped;  // after the lock
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<Request> request = std::move(computing_.extract(id).mapped());
  if (is_abandoned_) {
    dropped = std::move(request);
  } else {
    if (!request->verdict.ok()) {
      request->answer.SetStatus(request->verdict);
    } else if (!answer.ok()) {
      request->answer.SetStatus(answer.status());
    } else {
      request->answer.SetAnswer(*std::move(answer), request->in_parts);
    }
    sending_.push_back(std::move(request));
  }
  Proceed();
}

void StreamReactor::EndArriving(Request& request, absl::Status status) {
  if (request.is_copying) {
    request.verdict.Update(status);
    return;
  }
  const std::uint64_t id = request.answer.id();
  arriving_.erase(id);
  AnswerWithStatus(id, std::move(status));
}

bool StreamReactor::End(std::uint64_t id, const absl::Status& status) {
  if (const auto arriving = arriving_.find(id); arriving != arriving_.end()) {
    EndArriving(*arriving->second, status);
    return true;
  }
  if (const auto computing = computing_.find(id); computing != computing_.end()) {
    computing->second->verdict.Update(status);
    computing->second->attend->Cancel();
    return true;
  }
  const auto sending =
      std::find_if(sending_.begin(), sending_.end(), [id](const auto& request) { return request->answer.id() == id; });
  if (sending == sending_.end()) return false;
  if ((*sending)->answer.status().ok()) (*sending)->answer.SetStatus(status);
  return true;
}

void StreamReactor::Refuse(std::uint64_t id, const absl::Status& status) {
  if (id <= last_id_) {
    End(id, status);
  } else {
    last_id_ = id;
    AnswerWithStatus(id, status);
  }
}

void StreamReactor::AnswerWithStatus(std::uint64_t id, absl::Status status) {
  if (is_abandoned_) return;
  sending_.push_back(std::make_unique<Request>(id));
  sending_.back()->answer.SetStatus(std::move(status));
}

// ---- What becomes of the stream
// ---------------------------------------------------------------------------------------

void StreamReactor::Close(absl::Status status) {
  if (is_closing_ || is_abandoned_) return;
  is_closing_ = true;
  end_ = std::move(status);
  for (auto it = arriving_.begin(); it != arriving_.end();) {
    Request& request = *(it++)->second;  // which may be gone after this
    EndArriving(request, end_.ok() ? request.tensors->Incomplete() : end_);
  }
}

void StreamReactor::Abandon(absl::Status status) {
  if (is_abandoned_) return;
  is_abandoned_ = true;
  end_ = std::move(status);
  std::erase_if(arriving_, [](const auto& entry) { return !entry.second->is_copying; });
  for (const auto& [id, request] : computing_) request->attend->Cancel();
  sending_.clear();
}

void StreamReactor::Proceed() {
  if (is_finished_) return;
  ReadNext();
  WriteNext();
  FinishWhenDone();
  SetAlarm();
}

void StreamReactor::ReadNext() {
  if (is_reading_ || is_taking_ || is_closing_ || is_abandoned_) return;
  const std::size_t waiting = computing_.size() + sending_.size() + (ending_ != nullptr ? 1 : 0);
  if (waiting >= kMaxStreamRequests || waiting_bytes_ >= context_.max_stream_bytes) return;
  is_reading_ = true;
  reading_since_ = absl::Now();
  StartRead(&message_);
}

void StreamReactor::WriteNext() {
  if (is_writing_ || sending_.empty()) return;
  std::unique_ptr<Request> request = std::move(sending_.front());
  sending_.pop_front();
  const bool is_last = request->answer.next_is_last();
  const bool is_answer = request->answer.status().ok();
  response_ = request->answer.Next(is_answer ? request->attend->EncodeSeconds() : 0);
  const auto sent_bytes = static_cast<std::int64_t>(response_.Length());
  if (is_last && is_answer) {
    request->attend->EndEncode(sent_bytes);
  } else {
    context_.metrics->AddSentBytes(sent_bytes);
  }
  if (is_last) {
    context_.metrics->StreamRequestHandled(static_cast<int>(request->answer.status().code()));
    ending_ = std::move(request);
  } else {
    sending_.push_back(std::move(request));
  }
  is_writing_ = true;
  writing_stalls_at_ = absl::Now() + context_.stream_stall +
                       absl::Seconds(static_cast<double>(sent_bytes) / kSlowestReaderBytesPerSecond);
  StartWrite(&response_);
}

void StreamReactor::FinishWhenDone() {
  if (is_taking_ || is_writing_ || !computing_.empty()) return;
  if (!is_abandoned_) {
    if (!is_closing_ || !sending_.empty()) return;
    is_lingering_ = context_.send_queues->is_watched() && !context_.send_queues->IsTaken(written_at_);
    if (is_lingering_) return;
  }
  is_finished_ = true;
  alarm_.reset();
  arriving_.clear();
  Finish(ToGrpcStatus(end_));
}

void StreamReactor::SetAlarm() {
  if (is_finished_) return;
  const absl::Time next = NextCheckAt();
  if (next >= alarm_at_) return;
  alarm_at_ = next;
  // A new one each time, since the last may be what calls this. One that is replaced runs at once, having not expired.
  alarm_.emplace().Set(absl::ToChronoTime(next), [self = shared_from_this()](bool expired) {
    if (expired) self->OnAlarm();
  });
}

absl::Time StreamReactor::NextCheckAt() const {
  if (is_lingering_) return absl::Now() + SendQueues::kSampleInterval;
  absl::Time next = is_writing_ ? writing_stalls_at_ : absl::InfiniteFuture();
  for (const auto& [id, request] : arriving_) {
    if (!request->is_copying) next = std::min({next, request->attend->deadline(), StallsAt(*request)});
  }
  return next;
}

absl::Time StreamReactor::StallsAt(const Request& request) const {
  // While the stream is not read, nobody can say that nothing comes.
  if (!is_reading_) return absl::InfiniteFuture();
  return std::max(request.last_part_at, reading_since_) + context_.stream_stall;
}

}  // namespace attnd::server::attnd_v1

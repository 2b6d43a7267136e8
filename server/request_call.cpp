#include "server/request_call.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>

#include <utility>

namespace attnd::server {
namespace {

double SecondsBetween(std::chrono::steady_clock::time_point begin, std::chrono::steady_clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

absl::Status DeadlinePassed(const char* what) {
  return absl::DeadlineExceededError(absl::StrCat("deadline: passed before the ", what));
}

}  // namespace

RequestCall::RequestCall(const AttendContext& context, absl::Time deadline) : context_(context), deadline_(deadline) {}

RequestCall::~RequestCall() {
  if (received_) context_.metrics->AddRequestsInFlight(-1);
}

absl::Status RequestCall::Receive(std::int64_t message_size_bytes) {
  received_ = true;
  received_at_ = Clock::now();
  context_.metrics->AddRequestsInFlight(1);
  context_.metrics->AddReceivedBytes(message_size_bytes);
  absl::StatusOr<Reservation> message = context_.admission->Reserve(message_size_bytes);
  if (!message.ok()) return message.status();
  message_ = *std::move(message);
  return absl::OkStatus();
}

absl::Status RequestCall::ReserveForParsing(std::int64_t size_bytes) {
  absl::StatusOr<Reservation> parsed = context_.admission->Reserve(size_bytes);
  if (!parsed.ok()) return parsed.status();
  parsed_ = *std::move(parsed);
  return absl::OkStatus();
}

void RequestCall::EndCompute() {
  computed_at_ = Clock::now();
  parsed_ = Reservation();
}

absl::Status RequestCall::CheckIsWanted(const char* what) const {
  if (absl::Now() >= deadline_) return DeadlinePassed(what);
  if (cancellation_->cancelled()) return Explain(absl::CancelledError("cancelled by the caller"), what);
  return absl::OkStatus();
}

absl::Status RequestCall::Explain(absl::Status status, const char* what) const {
  if (!absl::IsCancelled(status) || absl::Now() < deadline_) return status;
  return DeadlinePassed(what);
}

double RequestCall::EndDecode(std::int64_t copied_bytes) {
  context_.metrics->AddCopiedBytes(copied_bytes);
  const double decode_seconds = SecondsBetween(received_at_, Clock::now());
  context_.metrics->ObservePhase(Phase::kDecode, decode_seconds);
  return decode_seconds;
}

double RequestCall::EncodeSeconds() const { return SecondsBetween(computed_at_, Clock::now()); }

void RequestCall::EndEncode(std::int64_t sent_bytes) {
  context_.metrics->ObservePhase(Phase::kEncode, EncodeSeconds());
  context_.metrics->AddSentBytes(sent_bytes);
}

}  // namespace attnd::server

#include "client/cpp/large_call.h"

#include <absl/strings/str_cat.h>
#include <attnd/v1/attention.grpc.pb.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <climits>
#include <system_error>
#include <utility>
#include <vector>

#include "client/cpp/cuts.h"
#include "client/cpp/grpc_values.h"
#include "client/cpp/request_message.h"
#include "client/cpp/unary_call.h"

namespace attnd {
namespace {

// Pieces need not be larger to keep a server busy, and then a few of them are little memory.
constexpr std::int64_t kPieceSizeBytes = std::int64_t{64} << 20;
// On their way at a time: enough that small pieces are sent and computed while others come back …
constexpr std::size_t kMaxPiecesInFlight = 16;
// … and that large ones do not fill the memory of either side.
constexpr std::int64_t kMaxInFlightBytes = 4 * kPieceSizeBytes;
// A message in a server's memory becomes tensors, packed keys and values (in up to twice their bytes), and an answer.
constexpr std::int64_t kMemoryPerMessage = 4;

absl::Status Cancelled() { return absl::CancelledError("the call was cancelled"); }

// Where nothing is said there is no limit.
std::int64_t OrUnlimited(std::int64_t bytes) { return bytes > 0 ? bytes : INT64_MAX; }

// All pieces of a call together leave half of the server's memory to others.
std::int64_t InFlightSizeBytes(const ServerLimits& limits) {
  return std::min(kMaxInFlightBytes, OrUnlimited(limits.max_in_flight_bytes) / (2 * kMemoryPerMessage));
}

std::vector<Piece> CutFor(const ServerLimits& limits, const AttendRequest& request, const ProblemSizes& sizes) {
  const std::int64_t most = MaxMessageSizeBytes(limits);
  std::vector<Piece> pieces = Cut(request, sizes, std::min({most, kPieceSizeBytes, InFlightSizeBytes(limits) / 2}));
  // Rather larger pieces than other bits.
  if (std::ranges::any_of(pieces, &Piece::is_key_range)) return Cut(request, sizes, most);
  return pieces;
}

}  // namespace

std::int64_t MaxMessageSizeBytes(const ServerLimits& limits) {
  // No message of protobuf's has 2 GiB.
  return std::min({OrUnlimited(limits.max_message_bytes), OrUnlimited(limits.max_in_flight_bytes) / kMemoryPerMessage,
                   std::int64_t{INT_MAX}});
}

std::unique_ptr<CallState> LargeCall::Start(std::shared_ptr<grpc::Channel> channel,
                                            std::shared_ptr<KnownLimits> known_limits, const AttendRequest& request,
                                            const ProblemSizes& sizes, const CallOptions& options) {
  std::unique_ptr<LargeCall> call(new LargeCall(std::move(channel), std::move(known_limits), request, sizes, options));
  try {
    call->thread_ = std::thread([state = call.get()] {
      state->result_ = state->Run();
      state->DropAll();
      state->done_.Notify();
    });
  } catch (const std::system_error& error) {
    call->done_.Notify();
    return std::make_unique<FailedCall>(
        absl::ResourceExhaustedError(absl::StrCat("no thread for a large request: ", error.what())));
  }
  return call;
}

LargeCall::LargeCall(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<KnownLimits> known_limits,
                     const AttendRequest& request, const ProblemSizes& sizes, const CallOptions& options)
    : channel_(std::move(channel)),
      known_limits_(std::move(known_limits)),
      request_(request),
      sizes_(sizes),
      options_(options) {}

LargeCall::~LargeCall() {
  LargeCall::Cancel();
  if (thread_.joinable()) thread_.join();
}

void LargeCall::Cancel() {
  absl::MutexLock lock(&mutex_);
  is_cancelled_ = true;
  if (asking_ != nullptr) asking_->TryCancel();
  for (const PartialCall& partial : in_flight_) partial.call->Cancel();
}

bool LargeCall::WaitUntil(absl::Time time) { return done_.WaitForNotificationWithDeadline(time); }

absl::StatusOr<AttendResult> LargeCall::Take() {
  done_.WaitForNotification();
  return std::move(result_);
}

absl::StatusOr<AttendResult> LargeCall::Run() {
  const auto limits = AskLimits();
  if (!limits.ok()) return limits.status();
  if (MessageSizeBytes(request_, WholeProblem(sizes_)) <= MaxMessageSizeBytes(*limits)) return AttendWhole();
  return AttendInPieces(*limits);
}

absl::StatusOr<ServerLimits> LargeCall::AskLimits() {
  if (const auto known = known_limits_->Get()) return *known;
  grpc::ClientContext context;
  SetDeadline(options_.deadline, context);
  {
    absl::MutexLock lock(&mutex_);
    if (is_cancelled_) return Cancelled();
    asking_ = &context;
  }
  v1::GetServerInfoResponse response;
  const auto stub = v1::AttentionService::NewStub(channel_);
  const grpc::Status status = stub->GetServerInfo(&context, {}, &response);
  {
    absl::MutexLock lock(&mutex_);
    asking_ = nullptr;
  }
  if (!status.ok()) return ToAbsl(status);
  const ServerLimits limits{.max_message_bytes = response.limits().max_message_bytes(),
                            .max_in_flight_bytes = response.limits().max_in_flight_bytes()};
  known_limits_->Set(limits);
  return limits;
}

absl::StatusOr<AttendResult> LargeCall::AttendWhole() {
  auto parts = EncodeRequest(request_);
  if (!parts.ok()) return parts.status();
  grpc::GenericStub stub(channel_);
  const absl::Status status = Push({.call = std::make_unique<UnaryCall>(stub, *std::move(parts), options_)});
  return status.ok() ? TakeOldest() : status;
}

absl::StatusOr<AttendResult> LargeCall::AttendInPieces(const ServerLimits& limits) {
  auto assembly = Assembly::Create(request_, sizes_);
  if (!assembly.ok()) return assembly.status();
  AttendStream stream(std::make_shared<AttendStream::Impl>(channel_, StreamOptions{}));
  const std::int64_t max_in_flight_bytes = InFlightSizeBytes(limits);
  for (const Piece& piece : CutFor(limits, request_, sizes_)) {
    const std::int64_t size_bytes = MessageSizeBytes(request_, piece);
    while (!in_flight_.empty() &&
           (in_flight_.size() >= kMaxPiecesInFlight || in_flight_bytes_ + size_bytes > max_in_flight_bytes)) {
      if (absl::Status status = FinishOldest(*assembly); !status.ok()) return status;
    }
    if (absl::Status status = StartPiece(stream, piece); !status.ok()) return status;
  }
  while (!in_flight_.empty()) {
    if (absl::Status status = FinishOldest(*assembly); !status.ok()) return status;
  }
  return assembly->Take();
}

absl::Status LargeCall::StartPiece(AttendStream& stream, const Piece& piece) {
  auto request = RequestOf(request_, sizes_, piece);
  if (!request.ok()) return request.status();
  PartialCall partial{.piece = piece, .request = *std::move(request), .size_bytes = MessageSizeBytes(request_, piece)};
  partial.call = stream.impl_->Attend(partial.request.request, options_);
  return Push(std::move(partial));
}

absl::Status LargeCall::FinishOldest(Assembly& assembly) {
  const Piece piece = in_flight_.front().piece;
  const auto part = TakeOldest();
  return part.ok() ? assembly.Add(piece, *part) : part.status();
}

absl::Status LargeCall::Push(PartialCall partial) {
  in_flight_bytes_ += partial.size_bytes;
  absl::MutexLock lock(&mutex_);
  in_flight_.push_back(std::move(partial));
  return is_cancelled_ ? Cancelled() : absl::OkStatus();
}

absl::StatusOr<AttendResult> LargeCall::TakeOldest() {
  auto result = in_flight_.front().call->Take();
  in_flight_bytes_ -= in_flight_.front().size_bytes;
  absl::MutexLock lock(&mutex_);
  in_flight_.pop_front();
  return result;
}

void LargeCall::DropAll() {
  std::deque<PartialCall> dropped;
  {
    absl::MutexLock lock(&mutex_);
    dropped.swap(in_flight_);
  }
  for (PartialCall& partial : dropped) partial.call->Cancel();
}

}  // namespace attnd

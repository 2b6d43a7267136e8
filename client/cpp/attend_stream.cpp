#include "client/cpp/attend_stream.h"

#include <utility>

#include "client/cpp/request_message.h"
#include "client/cpp/unary_call.h"

namespace attnd {

std::shared_ptr<AttendStream::Impl> AttendStream::Impl::Open(const std::shared_ptr<grpc::Channel>& channel,
                                                             const StreamOptions&) {
  return std::make_shared<Impl>(channel);
}

std::unique_ptr<CallState> AttendStream::Impl::Attend(const AttendRequest& request, const CallOptions& options) {
  auto parts = EncodeRequest(request);
  if (!parts.ok()) return std::make_unique<FailedCall>(parts.status());
  return std::make_unique<UnaryCall>(stub_, *std::move(parts), options);
}

AttendStream::AttendStream(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
AttendStream::AttendStream(AttendStream&&) noexcept = default;
AttendStream& AttendStream::operator=(AttendStream&&) noexcept = default;
AttendStream::~AttendStream() = default;

AttendCall AttendStream::Attend(const AttendRequest& request, const CallOptions& options) {
  return AttendCall(impl_->Attend(request, options));
}

}  // namespace attnd

// One Attend call over gRPC.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>

#include "server/attend.h"
#include "server/attnd_v1/unary_reactor.h"

namespace attnd::server::attnd_v1 {

class AttendReactor final : public UnaryReactor {
 public:
  AttendReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call);

 private:
  ~AttendReactor() override = default;

  absl::Status Start(grpc::ByteBuffer& message) override;
  void GiveUp() override { attend_.Cancel(); }
  // Once there is something to send: the answer's message, counted as sent.
  grpc::ByteBuffer MakeResponse(const std::shared_ptr<const Answer>& answer);

  AttendCall attend_;
  const std::int64_t max_message_bytes_;
};

}  // namespace attnd::server::attnd_v1

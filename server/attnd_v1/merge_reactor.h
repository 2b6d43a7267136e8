// One MergePartials call over gRPC.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>

#include <memory>

#include "server/attnd_v1/unary_reactor.h"
#include "server/merge.h"

namespace attnd::server::attnd_v1 {

class MergeReactor final : public UnaryReactor {
 public:
  MergeReactor(const AttendContext& context, grpc::GenericCallbackServerContext* call);

 private:
  ~MergeReactor() override = default;

  absl::Status Start(grpc::ByteBuffer& message) override;
  void GiveUp() override { merge_.Cancel(); }
  // Once there is something to send: the answer's message, counted as sent.
  grpc::ByteBuffer MakeResponse(const std::shared_ptr<const Merged>& merged);

  MergeCall merge_;
};

}  // namespace attnd::server::attnd_v1

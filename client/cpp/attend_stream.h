// What stands behind an AttendStream.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>

#include "client/cpp/call_state.h"
#include "client/cpp/client.h"

namespace attnd {

class AttendStream::Impl {
 public:
  static std::shared_ptr<Impl> Open(const std::shared_ptr<grpc::Channel>& channel, const StreamOptions& options);

  explicit Impl(const std::shared_ptr<grpc::Channel>& channel) : stub_(channel) {}
  std::unique_ptr<CallState> Attend(const AttendRequest& request, const CallOptions& options);

 private:
  grpc::GenericStub stub_;
};

}  // namespace attnd

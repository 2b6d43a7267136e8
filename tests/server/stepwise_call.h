// A call of any method whose client takes its steps one by one; what the steps are, classes derived from it say.
#pragma once

#include <absl/synchronization/notification.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <memory>
#include <string>

#include "tests/server/running_server.h"

namespace attnd::test {

class StepwiseCall : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  grpc::Status AwaitEnd() {
    done_.WaitForNotification();
    return status_;
  }
  bool ended() const { return done_.HasBeenNotified(); }

  void OnDone(const grpc::Status& status) override {
    status_ = status;
    done_.Notify();
  }

 protected:
  // Prepared, not started.
  StepwiseCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& message)
      : stub_(channel), request_(ToByteBuffer(message)) {
    stub_.PrepareBidiStreamingCall(&context_, method, {}, this);
  }

  grpc::ClientContext context_;
  grpc::GenericStub stub_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer response_;

 private:
  grpc::Status status_;
  absl::Notification done_;
};

}  // namespace attnd::test

// attnd.v1.AttentionService over gRPC.
#pragma once

#include <grpcpp/server_builder.h>

#include <memory>

#include "server/attend.h"
#include "server/attnd_v1/open_streams.h"

namespace attnd::server::attnd_v1 {

// Serves until the server that it was registered on is shut down, which it must outlive. Everything in `context` must
// outlive the process's last answer: gRPC lets go of what it sent a moment after Server::Wait.
class Service {
 public:
  explicit Service(const AttendContext& context);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Sets the limit of a message's size and the methods. Takes the builder's one generic service: methods that nobody
  // else serves end UNIMPLEMENTED there.
  void RegisterOn(grpc::ServerBuilder& builder);

  // Lets every stream end when what it has received whole is answered. Any time.
  void DrainStreams();

 private:
  class Typed;
  class Generic;

  const AttendContext context_;
  OpenStreams streams_;
  std::unique_ptr<Typed> typed_;
  std::unique_ptr<Generic> generic_;
};

}  // namespace attnd::server::attnd_v1

// A server of our own in this process, and what a plain gRPC client has of it.
#pragma once

#include <attnd/v1/attention.grpc.pb.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/channel_arguments.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/config.h"
#include "server/server.h"
#include "tests/server/scrape.h"

namespace attnd::test {

// Loopback, ports that the system chooses, two workers, messages of up to 64 MiB and 256 MiB in flight.
server::Config LoopbackConfig();

// A connection of its own; `arguments` may hold further ones.
std::shared_ptr<grpc::Channel> Connect(const std::string& address, grpc::ChannelArguments arguments = {});

// Serves from construction to destruction.
class RunningServer {
 public:
  // Throws, which fails the test, where it cannot serve.
  explicit RunningServer(const server::Config& config = LoopbackConfig());

  server::Server& server() { return *server_; }
  const std::string& address() const { return server_->grpc_address(); }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  v1::AttentionService::Stub& stub() { return *stub_; }

  // What /metrics says now.
  Samples Scrape() const { return ParseSamples(ScrapeMetrics(server_->metrics_address())); }
  // What it says once `until` holds; what it said last where that takes longer than a minute, which fails the test.
  Samples ScrapeUntil(const std::function<bool(const Samples&)>& until) const;
  // What it says once no call holds anything any more: gRPC lets go of an answer a moment after its caller has it.
  Samples ScrapeAtRest() const;

 private:
  std::unique_ptr<server::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AttentionService::Stub> stub_;
};

inline constexpr char kAttendMethod[] = "/attnd.v1.AttentionService/Attend";

// One call of any method, the message being these bytes.
struct RawAnswer {
  grpc::Status status;
  std::string message;
};
RawAnswer CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& message,
                  grpc::ClientContext& context);
RawAnswer CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& message);

grpc::ByteBuffer ToByteBuffer(std::string_view bytes);

// Calls Attend. An error fails the test.
v1::AttendResponse Attend(v1::AttentionService::Stub& stub, const v1::AttendRequest& request);

// The bytes of the answer's tensors, one after the other: as EngineCall::OutputBytes.
std::string OutputBytes(const v1::AttendResponse& response);

}  // namespace attnd::test

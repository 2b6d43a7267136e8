#include "tests/server/running_server.h"

#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <google/protobuf/descriptor.h>
#include <grpc/grpc.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <utility>
#include <vector>

#include "server/attnd_v1/tensor_names.h"

namespace attnd::test {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);

std::unique_ptr<server::Server> Start(const server::Config& config) {
  absl::StatusOr<std::unique_ptr<server::Server>> server = server::Server::Start(config);
  if (!server.ok()) throw std::runtime_error(server.status().ToString());
  return *std::move(server);
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return "";
  std::string bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

}  // namespace

server::Config LoopbackConfig() {
  server::Config config;
  config.listen = "127.0.0.1:0";
  config.metrics_listen = "127.0.0.1:0";
  config.worker_count = 2;
  config.max_message_bytes = 64 << 20;
  config.max_in_flight_bytes = 256 << 20;
  return config;
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address, grpc::ChannelArguments arguments) {
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Else a port that the system gives out again would find the connection of an earlier test.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

RunningServer::RunningServer(const server::Config& config)
    : server_(Start(config)), channel_(Connect(address())), stub_(v1::AttentionService::NewStub(channel_)) {}

Samples RunningServer::ScrapeUntil(const std::function<bool(const Samples&)>& until) const {
  const absl::Time deadline = absl::Now() + kPatience;
  while (true) {
    Samples samples = Scrape();
    if (until(samples)) return samples;
    if (absl::Now() > deadline) {
      ADD_FAILURE() << "/metrics did not come to say what is waited for";
      return samples;
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
}

Samples RunningServer::ScrapeAtRest() const {
  return ScrapeUntil([](const Samples& samples) {
    return samples.at("attnd_requests_in_flight") == 0 && samples.at("attnd_in_flight_bytes") == 0;
  });
}

grpc::ByteBuffer ToByteBuffer(std::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size());
  return {&slice, 1};
}

RawAnswer CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string& message,
                  grpc::ClientContext& context) {
  grpc::GenericStub stub(channel);
  const grpc::ByteBuffer request = ToByteBuffer(message);
  grpc::ByteBuffer response;
  RawAnswer answer;
  absl::Notification done;
  stub.UnaryCall(&context, method, {}, &request, &response, [&](grpc::Status status) {
    answer.status = std::move(status);
    done.Notify();
  });
  done.WaitForNotification();
  answer.message = ToString(response);
  return answer;
}

RawAnswer CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                  const std::string& message) {
  grpc::ClientContext context;
  return CallRaw(channel, method, message, context);
}

v1::AttendResponse Attend(v1::AttentionService::Stub& stub, const v1::AttendRequest& request) {
  grpc::ClientContext context;
  v1::AttendResponse response;
  const grpc::Status status = stub.Attend(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_code() << ": " << status.error_message();
  return response;
}

std::string OutputBytes(const v1::AttendResponse& response) {
  std::string bytes;
  for (const core::Output output : core::kOutputs) {
    const google::protobuf::FieldDescriptor* field =
        v1::AttendResponse::descriptor()->FindFieldByNumber(server::attnd_v1::DataFieldNumber(output));
    bytes += response.GetReflection()->GetString(response, field);
  }
  return bytes;
}

}  // namespace attnd::test

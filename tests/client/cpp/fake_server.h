// A server of which the test decides what it answers, on loopback or at a Unix socket.
#pragma once

#include <attnd/v1/attention.grpc.pb.h>
#include <grpcpp/server.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/sync_stream.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "client/cpp/client.h"

namespace attnd::test {

// Called once for each Attend, from several threads at once.
using AttendHandler = std::function<grpc::Status(grpc::ServerContext& context, const v1::AttendRequest& request,
                                                 v1::AttendResponse& response)>;

// Called once for each StreamAttend, from several threads at once.
using MessageStream = grpc::ServerReaderWriter<v1::StreamAttendResponse, v1::StreamAttendRequest>;
using StreamHandler = std::function<grpc::Status(grpc::ServerContext& context, MessageStream& stream)>;

// Answers with the query as the output.
grpc::Status AnswerQuery(grpc::ServerContext& context, const v1::AttendRequest& request, v1::AttendResponse& response);

// Returns CANCELLED when the caller has gone away; gives up with INTERNAL after a minute.
grpc::Status WaitUntilCancelled(grpc::ServerContext& context, const v1::AttendRequest& request,
                                v1::AttendResponse& response);

// Called once for each MergePartials.
using MergeHandler =
    std::function<grpc::Status(const v1::MergePartialsRequest& request, v1::MergePartialsResponse& response)>;

// A request with one query, key and value, that a FakeServer takes. Its views refer to constants.
AttendRequest SmallRequest();

// A deadline that is far away for what takes milliseconds.
CallOptions WithinAMinute();

struct FakeServerOptions {
  std::string listen = "127.0.0.1:0";
  bool has_health = true;
  v1::GetServerInfoResponse info = {};
  // Default: the server has no StreamAttend.
  StreamHandler stream = {};
  // Default: the server has no MergePartials.
  MergeHandler merge = {};
};

class FakeServer {
 public:
  // Serves when it returns.
  explicit FakeServer(AttendHandler handler = AnswerQuery, FakeServerOptions options = {});
  // Ends all calls.
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  // "127.0.0.1:PORT" or "unix:PATH".
  const std::string& address() const { return address_; }
  // Calls of Attend, StreamAttend and MergePartials that arrived.
  int call_count() const { return call_count_; }
  void SetServing(bool is_serving);
  // Lets the calls that it has end, and takes no others.
  void Shutdown();

 private:
  class Service : public v1::AttentionService::Service {
   public:
    explicit Service(FakeServer& owner) : owner_(owner) {}
    grpc::Status Attend(grpc::ServerContext* context, const v1::AttendRequest* request,
                        v1::AttendResponse* response) override;
    grpc::Status StreamAttend(grpc::ServerContext* context, MessageStream* stream) override;
    grpc::Status MergePartials(grpc::ServerContext* context, const v1::MergePartialsRequest* request,
                               v1::MergePartialsResponse* response) override;
    grpc::Status GetServerInfo(grpc::ServerContext* context, const v1::GetServerInfoRequest* request,
                               v1::GetServerInfoResponse* response) override;

   private:
    FakeServer& owner_;
  };

  const AttendHandler handler_;
  const FakeServerOptions options_;
  std::string address_;
  std::atomic<int> call_count_ = 0;
  Service service_{*this};
  std::unique_ptr<grpc::Server> server_;
};

// Both servers behind one address.
std::string AddressOf(const FakeServer& first, const FakeServer& second);

}  // namespace attnd::test

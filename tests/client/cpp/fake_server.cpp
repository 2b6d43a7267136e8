#include "tests/client/cpp/fake_server.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <utility>

namespace attnd::test {

grpc::Status AnswerQuery(grpc::ServerContext&, const v1::AttendRequest& request, v1::AttendResponse& response) {
  *response.mutable_result()->mutable_output() = request.problem().query();
  response.set_output_data(request.query_data());
  return grpc::Status::OK;
}

grpc::Status WaitUntilCancelled(grpc::ServerContext& context, const v1::AttendRequest&, v1::AttendResponse&) {
  const absl::Time end = absl::Now() + absl::Minutes(1);
  while (!context.IsCancelled()) {
    if (absl::Now() > end) return {grpc::StatusCode::INTERNAL, "nobody cancelled the call"};
    absl::SleepFor(absl::Milliseconds(1));
  }
  return grpc::Status::CANCELLED;
}

AttendRequest SmallRequest() {
  static constexpr float kElements[] = {1, 2, 3, 4};
  const TensorView view{ElementType::kFloat32, {1, 4}, kElements};
  return {.query = view, .key = view, .value = view};
}

CallOptions WithinAMinute() { return {.deadline = absl::Now() + absl::Minutes(1)}; }

FakeServer::FakeServer(AttendHandler handler, FakeServerOptions options)
    : handler_(std::move(handler)), options_(std::move(options)) {
  grpc::EnableDefaultHealthCheckService(options_.has_health);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options_.listen, grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterService(&service_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    ADD_FAILURE() << "no server at " << options_.listen;
    return;
  }
  const bool is_unix = options_.listen.rfind("unix:", 0) == 0;
  address_ = is_unix ? options_.listen : "127.0.0.1:" + std::to_string(port);
}

FakeServer::~FakeServer() {
  if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
}

void FakeServer::SetServing(bool is_serving) { server_->GetHealthCheckService()->SetServingStatus(is_serving); }

void FakeServer::Shutdown() { server_->Shutdown(std::chrono::system_clock::now() + std::chrono::minutes(1)); }

grpc::Status FakeServer::Service::Attend(grpc::ServerContext* context, const v1::AttendRequest* request,
                                         v1::AttendResponse* response) {
  ++owner_.call_count_;
  return owner_.handler_(*context, *request, *response);
}

grpc::Status FakeServer::Service::StreamAttend(grpc::ServerContext* context, MessageStream* stream) {
  if (!owner_.options_.stream) return {grpc::StatusCode::UNIMPLEMENTED, "no StreamAttend"};
  ++owner_.call_count_;
  return owner_.options_.stream(*context, *stream);
}

grpc::Status FakeServer::Service::MergePartials(grpc::ServerContext*, const v1::MergePartialsRequest* request,
                                                v1::MergePartialsResponse* response) {
  if (!owner_.options_.merge) return {grpc::StatusCode::UNIMPLEMENTED, "no MergePartials"};
  ++owner_.call_count_;
  return owner_.options_.merge(*request, *response);
}

grpc::Status FakeServer::Service::GetServerInfo(grpc::ServerContext*, const v1::GetServerInfoRequest*,
                                                v1::GetServerInfoResponse* response) {
  *response = owner_.options_.info;
  return grpc::Status::OK;
}

std::string AddressOf(const FakeServer& first, const FakeServer& second) {
  return "ipv4:" + first.address() + "," + second.address();
}

}  // namespace attnd::test

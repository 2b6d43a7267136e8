// grpc.health.v1 by Check and Watch, and server reflection: what orchestrators and command-line tools rely on.
#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "server/file_descriptors.h"
#include "tests/server/running_server.h"

namespace attnd::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

// HealthCheckRequest is one string and HealthCheckResponse one enumeration, each the field 1: on the wire the same as
// these wrappers.
using Request = google::protobuf::StringValue;
using Response = google::protobuf::Int32Value;

// HealthCheckResponse.ServingStatus.
constexpr int kServing = 1;
constexpr int kNotServing = 2;
constexpr int kServiceUnknown = 3;

constexpr char kService[] = "attnd.v1.AttentionService";

Request For(const std::string& service) {
  Request request;
  request.set_value(service);
  return request;
}

// The status, or the negative number of the call's code.
int CheckOver(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  const RawAnswer answer = CallRaw(channel, "/grpc.health.v1.Health/Check", For(service).SerializeAsString());
  if (!answer.status.ok()) return -static_cast<int>(answer.status.error_code());
  Response response;
  EXPECT_TRUE(response.ParseFromString(answer.message));
  return response.value();
}
int Check(RunningServer& server, const std::string& service) { return CheckOver(server.channel(), service); }

// Collects what a Watch says until the call ends.
class Watcher final : public grpc::ClientBidiReactor<Request, Response> {
 public:
  Watcher(const std::shared_ptr<grpc::Channel>& channel, const std::string& service)
      : stub_(channel), request_(For(service)) {
    stub_.PrepareBidiStreamingCall(&context_, "/grpc.health.v1.Health/Watch", {}, this);
    StartWriteLast(&request_, grpc::WriteOptions());
    StartRead(&response_);
    StartCall();
  }
  ~Watcher() override {
    context_.TryCancel();
    AwaitEnd();
  }

  // What was said, once that is as much as given.
  std::vector<int> Await(std::size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return said_.size() >= count; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Minutes(1)));
    return said_;
  }

  grpc::StatusCode AwaitEnd() {
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&done_));
    return code_;
  }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    {
      absl::MutexLock lock(&mutex_);
      said_.push_back(response_.value());
    }
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    absl::MutexLock lock(&mutex_);
    code_ = status.error_code();
    done_ = true;
  }

 private:
  grpc::ClientContext context_;
  grpc::TemplatedGenericStub<Request, Response> stub_;
  const Request request_;
  Response response_;

  absl::Mutex mutex_;
  std::vector<int> said_ ABSL_GUARDED_BY(mutex_);
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::StatusCode code_ ABSL_GUARDED_BY(mutex_) = grpc::StatusCode::OK;
};

TEST(Health, CheckSaysServingAndThenNotServing) {
  RunningServer server;
  EXPECT_EQ(Check(server, ""), kServing);
  EXPECT_EQ(Check(server, kService), kServing);
  EXPECT_EQ(Check(server, "another"), -static_cast<int>(grpc::StatusCode::NOT_FOUND));
  server.server().Drain();
  EXPECT_EQ(Check(server, ""), kNotServing);
  EXPECT_EQ(Check(server, kService), kNotServing);
}

TEST(Health, IsAliveWhileDraining) {
  RunningServer server;
  EXPECT_EQ(Check(server, "liveness"), kServing);
  server.server().Drain();
  EXPECT_EQ(Check(server, "liveness"), kServing);
}

TEST(Health, WatchTellsOfTheChange) {
  RunningServer server;
  Watcher whole(server.channel(), "");
  Watcher service(server.channel(), kService);
  Watcher other(server.channel(), "another");
  EXPECT_THAT(whole.Await(1), ElementsAre(kServing));
  EXPECT_THAT(service.Await(1), ElementsAre(kServing));
  EXPECT_THAT(other.Await(1), ElementsAre(kServiceUnknown));
  server.server().Drain();
  EXPECT_THAT(whole.Await(2), ElementsAre(kServing, kNotServing));
  EXPECT_THAT(service.Await(2), ElementsAre(kServing, kNotServing));
}

TEST(Health, StopTellsWatchersBeforeItEndsTheirStreams) {
  RunningServer server;
  Watcher watcher(server.channel(), "");
  EXPECT_THAT(watcher.Await(1), ElementsAre(kServing));
  server.server().Stop(absl::Minutes(10));
  EXPECT_EQ(watcher.AwaitEnd(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(watcher.Await(2), ElementsAre(kServing, kNotServing));
}

TEST(Health, IsNotChangedBackByEnoughFileDescriptorsWhileDraining) {
  RunningServer server;
  server.server().CheckFileDescriptors();
  EXPECT_EQ(Check(server, ""), kServing);
  server.server().Drain();
  server.server().CheckFileDescriptors();
  EXPECT_EQ(Check(server, ""), kNotServing);
}

// Sets how many files this process may have open, and takes it back.
class FileLimit {
 public:
  FileLimit() { getrlimit(RLIMIT_NOFILE, &original_); }
  ~FileLimit() { setrlimit(RLIMIT_NOFILE, &original_); }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

  // So that what is open is this share of it.
  void SetFor(double share) const {
    const rlimit limit = {.rlim_cur = static_cast<rlim_t>(std::lround(server::OpenFileDescriptors() / share)),
                          .rlim_max = original_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &limit);
  }

 private:
  rlimit original_ = {};
};

TEST(Health, SaysNotServingWhileFileDescriptorsRunOut) {
  RunningServer server;
  std::vector<std::shared_ptr<grpc::Channel>> connections;
  for (int i = 0; i < 30; ++i) {
    connections.push_back(Connect(server.address()));
    ASSERT_TRUE(connections.back()->WaitForConnected(std::chrono::system_clock::now() + std::chrono::minutes(1)));
  }
  const FileLimit limit;
  const std::vector<std::pair<double, int>> steps = {
      {0.7, kServing}, {0.85, kServing}, {0.95, kNotServing}, {0.85, kNotServing}, {0.7, kServing}};
  for (const auto& [share, expected] : steps) {
    limit.SetFor(share);
    server.server().CheckFileDescriptors();
    EXPECT_EQ(CheckOver(connections[0], ""), expected) << share;
  }
}

// ServerReflectionResponse.list_services_response.service.name, by the fields' numbers.
std::vector<std::string> ServiceNames(const std::string& response) {
  std::vector<std::string> contents = {response};
  for (const int number : {6, 1, 1}) {
    std::vector<std::string> inner;
    for (const std::string& content : contents) {
      google::protobuf::Empty message;
      EXPECT_TRUE(message.ParseFromString(content));
      const google::protobuf::UnknownFieldSet& fields = message.GetReflection()->GetUnknownFields(message);
      for (int i = 0; i < fields.field_count(); ++i) {
        if (fields.field(i).number() == number) inner.push_back(fields.field(i).length_delimited());
      }
    }
    contents = inner;
  }
  return contents;
}

TEST(Reflection, ListsTheServices) {
  RunningServer server;
  // ServerReflectionRequest.list_services = "".
  const RawAnswer answer = CallRaw(server.channel(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                   std::string("\x3a\x00", 2));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  const std::vector<std::string> names = ServiceNames(answer.message);
  EXPECT_THAT(names, Contains(kService));
  EXPECT_THAT(names, Contains("grpc.health.v1.Health"));
  EXPECT_THAT(names, Contains("grpc.reflection.v1alpha.ServerReflection"));
}

TEST(Reflection, DescribesTheInterface) {
  RunningServer server;
  // ServerReflectionRequest.file_containing_symbol.
  const RawAnswer answer =
      CallRaw(server.channel(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              std::string("\x22") + static_cast<char>(sizeof kService - 1) + std::string(kService));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_THAT(answer.message, ::testing::HasSubstr("EMPTY_ROW_MEAN_OF_ALL_VALUES"));
}

}  // namespace
}  // namespace attnd::test

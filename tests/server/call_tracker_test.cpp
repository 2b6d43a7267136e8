// Calls as the tracker sees them: counted once, and ended where they would hold up a shutdown.
#include "server/call_tracker.h"

#include <google/protobuf/empty.pb.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/running_server.h"
#include "tests/server/stepwise_call.h"
#include "tests/support/attend_request.h"

namespace attnd::test {
namespace {

// A call whose client does not end it.
class OpenCall final : public StepwiseCall {
 public:
  // Sends one message where there is one.
  OpenCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method, const std::string* message)
      : StepwiseCall(channel, method, message == nullptr ? "" : *message) {
    if (message != nullptr) StartWrite(&request_);
    StartRead(&response_);
    StartCall();
  }
  ~OpenCall() override {
    context_.TryCancel();
    AwaitEnd();
  }

  void OnReadDone(bool ok) override {
    if (ok) StartRead(&response_);
  }
};

constexpr char kWatch[] = "/grpc.health.v1.Health/Watch";
constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

// Over all labels.
double Sum(const Samples& samples, const std::string& metric) {
  double sum = 0;
  for (const auto& [name, value] : samples) {
    if (name.starts_with(metric)) sum += value;
  }
  return sum;
}
double Started(const Samples& samples) { return Sum(samples, "grpc_server_started_total"); }
double Handled(const Samples& samples) { return Sum(samples, "grpc_server_handled_total"); }

TEST(CallTracker, StopEndsStreamsAtOnceAndLetsOtherCallsFinish) {
  RunningServer server;
  const std::string request = ToRequest(CaseWithEverything()).SerializeAsString();
  const std::string everything;
  OpenCall watch(server.channel(), kWatch, &everything);
  OpenCall reflection(server.channel(), kReflection, nullptr);
  // Attend answers when its caller has ended the stream.
  OpenCall attend(server.channel(), kAttendMethod, &request);
  server.ScrapeUntil([](const Samples& samples) {
    return Started(samples) == 3 && samples.at("attnd_phase_duration_seconds_count{phase=\"compute\"}") == 1;
  });

  std::thread stopper([&] { server.server().Stop(absl::Hours(1)); });
  EXPECT_EQ(watch.AwaitEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(reflection.AwaitEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
  server.ScrapeUntil([](const Samples& samples) { return Handled(samples) == 2; });
  EXPECT_FALSE(attend.ended());
  attend.StartWritesDone();
  EXPECT_TRUE(attend.AwaitEnd().ok());
  stopper.join();
  EXPECT_EQ(server.server().handled_count(), 3);
}

TEST(CallTracker, AHastenedStopEndsEveryCall) {
  RunningServer server;
  const std::string request = ToRequest(CaseWithEverything()).SerializeAsString();
  std::vector<std::unique_ptr<OpenCall>> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(std::make_unique<OpenCall>(server.channel(), kAttendMethod, i % 2 == 0 ? &request : nullptr));
  }
  server.ScrapeUntil([](const Samples& samples) { return Started(samples) == 20; });
  std::thread stopper([&] { server.server().Stop(absl::Hours(1)); });
  server.server().HastenStop();
  for (const std::unique_ptr<OpenCall>& call : calls) {
    EXPECT_EQ(call->AwaitEnd().error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  stopper.join();
  EXPECT_EQ(server.server().handled_count(), 20);
}

TEST(CallTracker, TheGracePeriodEndsCallsThatDoNotEnd) {
  RunningServer server;
  OpenCall attend(server.channel(), kAttendMethod, nullptr);
  server.ScrapeUntil([](const Samples& samples) { return Started(samples) == 1; });
  server.server().Stop(absl::Milliseconds(1));
  EXPECT_FALSE(attend.AwaitEnd().ok());
  EXPECT_EQ(server.server().handled_count(), 1);
}

}  // namespace
}  // namespace attnd::test

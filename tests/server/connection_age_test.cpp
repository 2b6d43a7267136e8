// A connection that is old enough ends between calls, and no caller notices.
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include "tests/server/running_server.h"
#include "tests/support/attend_request.h"

namespace attnd::test {
namespace {

TEST(ConnectionAge, ClientsConnectAnewWithoutAFailedCall) {
  constexpr int kConnections = 5;
  server::Config config = LoopbackConfig();
  config.max_connection_age_seconds = 0.05;
  RunningServer server(config);
  const v1::AttendRequest request = ToRequest(CaseWithEverything());
  const absl::Time deadline = absl::Now() + absl::Minutes(1);
  for (int ended = 0; ended < kConnections && !testing::Test::HasFailure();) {
    ASSERT_LT(absl::Now(), deadline) << ended << " connections have ended";
    Attend(server.stub(), request);
    if (server.channel()->GetState(/*try_to_connect=*/false) != GRPC_CHANNEL_READY) ++ended;
  }
}

}  // namespace
}  // namespace attnd::test

// Calls whose caller no longer wants them: their remaining work is dropped, and nothing of them stays.
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "tests/server/running_server.h"
#include "tests/support/attend_request.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

// Seconds of work for one worker in 512 pieces, and a message of some MiB.
constexpr Sizes kLong = {
    .query_heads = 8, .query_rows = 4096, .keys = 16'384, .head_size = 128, .value_head_size = 128};
constexpr std::int64_t kTiles = 8 * (4096 / 64) * (16'384 / 512);
constexpr char kComputedTiles[] = "attnd_tiles_total{state=\"computed\"}";

v1::AttendRequest LongRequest() {
  Random random = SeededRandom();
  AttentionCase attention = MakeCase({.sizes = kLong}, random);
  attention.description.return_weights = false;
  return ToRequest(attention);
}

std::string Handled(const std::string& code) {
  return "grpc_server_handled_total{grpc_code=\"" + code +
         "\",grpc_method=\"Attend\",grpc_service=\"attnd.v1.AttentionService\",grpc_type=\"unary\"}";
}

double GivenUp(const Samples& samples) {
  return samples.at(Handled("Canceled")) + samples.at(Handled("DeadlineExceeded"));
}

class GivenUpTest : public ::testing::Test {
 protected:
  // The call is over for its caller: soon nothing is held, and not all of it was computed.
  void ExpectDropped() {
    const Samples rest = server_.ScrapeAtRest();
    EXPECT_GE(GivenUp(rest), 1);
    EXPECT_LT(rest.at(kComputedTiles), double{kTiles});
    EXPECT_EQ(rest.at("attnd_phase_duration_seconds_count{phase=\"compute\"}"), 0);
    EXPECT_EQ(rest.at("attnd_sent_bytes_total"), 0);
    // And the workers are free for others.
    Attend(server_.stub(), ToRequest(CaseWithEverything()));
  }

  RunningServer server_;
};

TEST_F(GivenUpTest, CancelledWhileItIsComputed) {
  const v1::AttendRequest request = LongRequest();
  grpc::ClientContext context;
  v1::AttendResponse response;
  grpc::Status status;
  std::thread call([&] { status = server_.stub().Attend(&context, request, &response); });
  server_.ScrapeUntil([](const Samples& samples) { return samples.at(kComputedTiles) > 0; });
  context.TryCancel();
  call.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  ExpectDropped();
}

TEST_F(GivenUpTest, DeadlinePassesWhileItIsComputed) {
  const v1::AttendRequest request = LongRequest();
  // On a busy machine a short one passes before anything is computed.
  for (auto time = std::chrono::milliseconds(300); server_.Scrape().at(kComputedTiles) == 0; time *= 2) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + time);
    v1::AttendResponse response;
    const grpc::Status status = server_.stub().Attend(&context, request, &response);
    ASSERT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    server_.ScrapeAtRest();
  }
  ExpectDropped();
}

TEST_F(GivenUpTest, OthersGoOnBesideIt) {
  const v1::AttendRequest request = LongRequest();
  grpc::ClientContext context;
  v1::AttendResponse response;
  std::thread call([&] { static_cast<void>(server_.stub().Attend(&context, request, &response)); });
  server_.ScrapeUntil([](const Samples& samples) { return samples.at(kComputedTiles) > 0; });
  // A small request does not wait for the end of the long one.
  Attend(server_.stub(), ToRequest(CaseWithEverything()));
  EXPECT_LT(server_.Scrape().at(kComputedTiles), double{kTiles});
  context.TryCancel();
  call.join();
}

}  // namespace
}  // namespace attnd::test

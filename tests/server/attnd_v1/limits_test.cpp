// What the service refuses because it is too much, or too much at once, and messages that it does not inflate.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/server/running_server.h"
#include "tests/server/stepwise_call.h"
#include "tests/support/attend_request.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

constexpr char kEncodedAnswers[] = "attnd_phase_duration_seconds_count{phase=\"encode\"}";

// One head of `rows` rows of 64 numbers, and as many keys as given: query, output and weights grow with the rows.
AttentionCase Make(std::int64_t rows, std::int64_t keys) {
  Random random = SeededRandom();
  AttentionCase attention =
      MakeCase({.sizes = {.query_rows = rows, .keys = keys, .head_size = 64, .value_head_size = 64}}, random);
  attention.description.return_weights = false;
  attention.description.return_log_sum_exp = false;
  return attention;
}

grpc::Status Call(RunningServer& server, const v1::AttendRequest& request) {
  grpc::ClientContext context;
  v1::AttendResponse response;
  return server.stub().Attend(&context, request, &response);
}

// An Attend call whose answer waits on the server: as long as nobody reads, HTTP/2's flow control holds it there.
class UnreadCall final : public StepwiseCall {
 public:
  UnreadCall(const std::shared_ptr<grpc::Channel>& channel, const v1::AttendRequest& request)
      : StepwiseCall(channel, kAttendMethod, request.SerializeAsString()) {
    StartWriteLast(&request_, grpc::WriteOptions());
    AddHold();
    StartCall();
  }

  grpc::Status Read() {
    StartRead(&response_);
    RemoveHold();
    return AwaitEnd();
  }
};

TEST(MessageLimit, HoldsForTheRequestToTheByte) {
  const v1::AttendRequest request = ToRequest(Make(100, 100));
  server::Config config = LoopbackConfig();
  config.max_message_bytes = static_cast<std::int64_t>(request.ByteSizeLong());
  {
    RunningServer server(config);
    EXPECT_TRUE(Call(server, request).ok());
  }
  --config.max_message_bytes;
  RunningServer server(config);
  const grpc::Status status = Call(server, request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(server.ScrapeAtRest().at("attnd_received_bytes_total"), 0);
}

TEST(MessageLimit, HoldsForTheAnswersTensors) {
  AttentionCase attention = Make(300, 300);
  attention.description.return_weights = true;
  const std::int64_t answer_size_bytes = 300 * 64 * 4 + 300 * 300 * 4;
  server::Config config = LoopbackConfig();
  config.max_message_bytes = answer_size_bytes;
  {
    RunningServer server(config);
    EXPECT_TRUE(Call(server, ToRequest(attention)).ok());
  }
  --config.max_message_bytes;
  RunningServer server(config);
  const grpc::Status status = Call(server, ToRequest(attention));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(
      status.error_message(),
      "result: the answer's tensors take 436800 bytes, at most 436799 (limits.max_message_bytes) expected; "
      "problem.return_weights takes 360000 of them; of problem.summaries, top_keys of 16 would take 38400, entropy "
      "would take 1200, received_sum would take 1200, pooled_map of 256 x 256 would take 262144");
}

TEST(InFlightLimit, RefusesForeverWhatNeverFits) {
  server::Config config = LoopbackConfig();
  config.max_in_flight_bytes = 8'000'000;
  config.max_message_bytes = 8'000'000;
  RunningServer server(config);
  // A message of 4 MB and a copy of it, before there is an answer.
  const grpc::Status status = Call(server, ToRequest(Make(16'000, 1)));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(status.error_message().ends_with("and the server's limit is 8000000; it is never accepted"))
      << status.error_message();
  EXPECT_EQ(server.ScrapeAtRest().at("attnd_in_flight_bytes"), 0);
  EXPECT_TRUE(Call(server, ToRequest(Make(4'000, 1))).ok());
}

// An answer that its caller does not read is held until it is, and what does not fit beside it may try again later.
TEST(InFlightLimit, CountsAnAnswerUntilItIsSent) {
  constexpr std::int64_t kRows = 32'768;
  constexpr std::int64_t kAnswerSizeBytes = kRows * 64 * 4;  // 8 MiB
  server::Config config = LoopbackConfig();
  config.max_in_flight_bytes = 5 * kAnswerSizeBytes;
  config.max_message_bytes = 2 * kAnswerSizeBytes;
  RunningServer server(config);
  // Until it is copied, the message counts beside its copy and the answer: three times 8 MiB and a little.
  const v1::AttendRequest large = ToRequest(Make(kRows, 1));
  grpc::ChannelArguments fixed_window;
  fixed_window.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  const std::shared_ptr<grpc::Channel> channel = Connect(server.address(), fixed_window);
  const auto await_held = [&](int answers) {
    server.ScrapeUntil([answers](const Samples& samples) {
      return samples.at(kEncodedAnswers) == answers &&
             samples.at("attnd_in_flight_bytes") == static_cast<double>(answers * kAnswerSizeBytes);
    });
  };
  UnreadCall first(channel, large);
  await_held(1);
  UnreadCall second(channel, large);
  await_held(2);

  const grpc::Status status = Call(server, large);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(status.error_message().ends_with("and the server's limit is 41943040; retry later"))
      << status.error_message();
  EXPECT_TRUE(first.Read().ok());
  EXPECT_TRUE(second.Read().ok());
  server.ScrapeAtRest();
  EXPECT_TRUE(Call(server, large).ok());
}

TEST(Compression, IsRefusedBeforeAnythingIsInflated) {
  server::Config config = LoopbackConfig();
  config.max_message_bytes = 1 << 20;
  RunningServer server(config);
  v1::AttendRequest request = ToRequest(Make(10, 10));
  // Inflated it would be over the limit, which is another refusal.
  request.set_query_data(std::string(8 << 20, '\0'));
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    v1::AttendResponse response;
    const grpc::Status status = server.stub().Attend(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
  }
  EXPECT_EQ(server.ScrapeAtRest().at("attnd_received_bytes_total"), 0);
}

}  // namespace
}  // namespace attnd::test

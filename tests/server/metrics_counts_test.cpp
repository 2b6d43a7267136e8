// What one call of Attend adds to the metrics, to the byte and to the tile.
#include <gtest/gtest.h>

#include <string>

#include "tests/server/running_server.h"
#include "tests/support/attend_request.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

constexpr char kLabels[] = "grpc_method=\"Attend\",grpc_service=\"attnd.v1.AttentionService\",grpc_type=\"unary\"}";

std::string Phase(const std::string& phase) { return "attnd_phase_duration_seconds_count{phase=\"" + phase + "\"}"; }

// 3 query tiles of 64, 64 and 2 rows and 2 key tiles of 512 and 44 keys, for each of 4 heads. In each batch entry the
// second tile is hidden from the first 64 rows: causal, top-left, with 556 keys.
AttentionCase Make() {
  Random random = SeededRandom();
  AttentionCase attention = MakeCase({.sizes = {.batch = 2,
                                                .query_heads = 2,
                                                .key_value_heads = 1,
                                                .query_rows = 130,
                                                .keys = 556,
                                                .head_size = 40,
                                                .value_head_size = 24}},
                                     random);
  attention.description.mask.causal.emplace().positions.alignment = core::Alignment::kTopLeft;
  return attention;
}

TEST(MetricsCounts, AfterOneCall) {
  const v1::AttendRequest request = ToRequest(Make());
  RunningServer server;
  const RawAnswer answer = CallRaw(server.channel(), kAttendMethod, request.SerializeAsString());
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  const Samples samples = server.ScrapeAtRest();

  EXPECT_EQ(samples.at("attnd_received_bytes_total"), static_cast<double>(request.ByteSizeLong()));
  EXPECT_EQ(samples.at("attnd_sent_bytes_total"), static_cast<double>(answer.message.size()));
  // Everything once: the tensors, and the small rest for the parser, without the tags and lengths of the tensors'
  // fields (2 and 3 bytes: 41,600, 177,920 and 106,752 bytes are all above 2¹⁴).
  EXPECT_EQ(samples.at("attnd_copied_bytes_total"), static_cast<double>(request.ByteSizeLong()) - 3 * (2 + 3));

  // Rows 0 to 129 see keys up to themselves, so none the second key tile.
  EXPECT_EQ(samples.at("attnd_tiles_total{state=\"computed\"}"), 2 * 2 * 3);
  EXPECT_EQ(samples.at("attnd_tiles_total{state=\"skipped\"}"), 2 * 2 * 3);
  // Of the first, whole panels of 64 keys as far as the rows of a query tile see them.
  constexpr int kComputedPairs = 64 * 64 + 64 * 128 + 2 * 192;
  EXPECT_EQ(samples.at("attnd_floating_point_operations_total"), 2.0 * 2 * 2 * kComputedPairs * (40 + 24));
  EXPECT_GT(samples.at("attnd_worker_busy_seconds_total"), 0);

  for (const char* phase : {"decode", "queue", "compute", "encode"}) EXPECT_EQ(samples.at(Phase(phase)), 1) << phase;
  EXPECT_EQ(samples.at(std::string("grpc_server_started_total{") + kLabels), 1);
  EXPECT_EQ(samples.at(std::string("grpc_server_handled_total{grpc_code=\"OK\",") + kLabels), 1);
  EXPECT_EQ(samples.at(std::string("grpc_server_handling_seconds_count{") + kLabels), 1);
  EXPECT_EQ(server.server().handled_count(), 1);
}

TEST(MetricsCounts, TheReportTellsTheSameTimes) {
  RunningServer server;
  const v1::AttendResponse response = Attend(server.stub(), ToRequest(Make()));
  const Samples samples = server.ScrapeAtRest();
  const v1::Report& report = response.result().report();
  const auto seconds = [&](const std::string& phase) {
    return samples.at("attnd_phase_duration_seconds_sum{phase=\"" + phase + "\"}");
  };
  EXPECT_DOUBLE_EQ(seconds("decode"), report.decode_seconds());
  EXPECT_DOUBLE_EQ(seconds("queue"), report.queue_seconds());
  EXPECT_DOUBLE_EQ(seconds("compute"), report.compute_seconds());
  // The metric also covers what came after the report was written.
  EXPECT_GE(seconds("encode"), report.encode_seconds());
  EXPECT_GE(samples.at(std::string("grpc_server_handling_seconds_sum{") + kLabels),
            seconds("decode") + seconds("queue") + seconds("compute"));
}

TEST(MetricsCounts, ARefusedCallIsReceivedAndNothingElse) {
  v1::AttendRequest request = ToRequest(Make());
  request.mutable_query_data()->pop_back();
  RunningServer server;
  const RawAnswer answer = CallRaw(server.channel(), kAttendMethod, request.SerializeAsString());
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const Samples samples = server.ScrapeAtRest();
  EXPECT_EQ(samples.at("attnd_received_bytes_total"), static_cast<double>(request.ByteSizeLong()));
  EXPECT_EQ(samples.at("attnd_sent_bytes_total"), 0);
  EXPECT_EQ(samples.at("attnd_copied_bytes_total"), 0);
  EXPECT_EQ(samples.at("attnd_tiles_total{state=\"computed\"}"), 0);
  for (const char* phase : {"decode", "queue", "compute", "encode"}) EXPECT_EQ(samples.at(Phase(phase)), 0) << phase;
  EXPECT_EQ(samples.at(std::string("grpc_server_handled_total{grpc_code=\"InvalidArgument\",") + kLabels), 1);
}

TEST(MetricsCounts, OtherMethodsCountUnderTheirNames) {
  RunningServer server;
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(server.stub().GetServerInfo(&context, {}, &info).ok());
  CallRaw(server.channel(), "/grpc.health.v1.Health/Check", "");
  const Samples samples = server.Scrape();
  EXPECT_EQ(samples.at("grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"GetServerInfo\","
                       "grpc_service=\"attnd.v1.AttentionService\",grpc_type=\"unary\"}"),
            1);
  EXPECT_EQ(samples.at("grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Check\","
                       "grpc_service=\"grpc.health.v1.Health\",grpc_type=\"unary\"}"),
            1);
  // The bytes are those of messages with tensors.
  EXPECT_EQ(samples.at("attnd_received_bytes_total"), 0);
}

}  // namespace
}  // namespace attnd::test

// What a server tells about itself.
#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"

namespace attnd {
namespace {

using test::FakeServer;
using test::WithinAMinute;
using testing::ElementsAre;

TEST(ServerQuestions, InfoHasAllThatTheServerTells) {
  test::FakeServerOptions options;
  options.info.set_version("1.2.3");
  options.info.set_onednn_version("3.7.2");
  options.info.add_instruction_sets_found("avx2");
  options.info.add_instruction_sets_found("avx512_core");
  options.info.set_onednn_instruction_set("avx512_core");
  options.info.set_vector_instruction_set("AVX3");
  options.info.set_worker_count(7);
  options.info.mutable_limits()->set_max_message_bytes(std::int64_t{1} << 31);
  options.info.mutable_limits()->set_max_in_flight_bytes(std::int64_t{1} << 35);
  options.info.mutable_limits()->set_max_head_size(1024);
  options.info.mutable_limits()->set_max_stream_requests(128);
  options.info.mutable_limits()->set_max_stream_bytes(200);
  options.info.mutable_limits()->set_stream_stall_seconds(1.5);
  v1::KernelInfo& kernel = *options.info.add_kernels();
  kernel.set_element_type(v1::ELEMENT_TYPE_BFLOAT16);
  kernel.set_kernel("brgemm-bfloat16");
  options.info.add_kernels()->set_element_type(static_cast<v1::ElementType>(9));
  options.info.add_options("mask.causal");

  const FakeServer server(test::AnswerQuery, options);
  Client client(server.address());
  const auto info = client.GetServerInfo(WithinAMinute());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->version, "1.2.3");
  EXPECT_EQ(info->onednn_version, "3.7.2");
  EXPECT_THAT(info->instruction_sets_found, ElementsAre("avx2", "avx512_core"));
  EXPECT_EQ(info->onednn_instruction_set, "avx512_core");
  EXPECT_EQ(info->vector_instruction_set, "AVX3");
  EXPECT_EQ(info->worker_count, 7);
  EXPECT_EQ(info->max_message_bytes, std::int64_t{1} << 31);
  EXPECT_EQ(info->max_in_flight_bytes, std::int64_t{1} << 35);
  EXPECT_EQ(info->max_head_size, 1024);
  EXPECT_EQ(info->max_stream_requests, 128);
  EXPECT_EQ(info->max_stream_bytes, 200);
  EXPECT_EQ(info->stream_stall_seconds, 1.5);
  ASSERT_EQ(info->kernels.size(), 2);
  EXPECT_EQ(info->kernels[0].element_type, "bfloat16");
  EXPECT_EQ(info->kernels[0].kernel, "brgemm-bfloat16");
  EXPECT_EQ(info->kernels[1].element_type, "9");
  EXPECT_THAT(info->options, ElementsAre("mask.causal"));
}

// Unlike other calls, which then go elsewhere, the question reaches a server that is not serving.
TEST(ServerQuestions, HealthIsWhatTheServerSays) {
  FakeServer server;
  Client client(server.address());
  EXPECT_EQ(*client.CheckHealth(WithinAMinute()), Health::kServing);
  server.SetServing(false);
  EXPECT_EQ(*client.CheckHealth(WithinAMinute()), Health::kNotServing);
  server.SetServing(true);
  EXPECT_EQ(*client.CheckHealth(WithinAMinute()), Health::kServing);
}

TEST(ServerQuestions, AServerWithoutHealthSaysSo) {
  const FakeServer server(test::AnswerQuery, {.has_health = false});
  Client client(server.address());
  EXPECT_EQ(client.CheckHealth(WithinAMinute()).status().code(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace attnd

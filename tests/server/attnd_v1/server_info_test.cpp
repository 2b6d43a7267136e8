#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/machine.h"
#include "server/version.h"
#include "tests/server/running_server.h"

namespace attnd::test {
namespace {

using ::testing::ElementsAre;
using ::testing::Not;

v1::GetServerInfoResponse GetServerInfo(RunningServer& server) {
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  const grpc::Status status = server.stub().GetServerInfo(&context, {}, &info);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return info;
}

TEST(GetServerInfo, TellsWhatTheServerIsAndRunsOn) {
  RunningServer server;
  const v1::GetServerInfoResponse info = GetServerInfo(server);
  EXPECT_EQ(info.version(), server::Version());
  EXPECT_EQ(info.onednn_version(), core::OnednnVersion());
  EXPECT_EQ(info.onednn_instruction_set(), core::OnednnInstructionSet());
  EXPECT_EQ(info.vector_instruction_set(), core::VectorInstructionSet());
  const std::vector<std::string> found(info.instruction_sets_found().begin(), info.instruction_sets_found().end());
  EXPECT_EQ(found, core::InstructionSetsFound());
}

TEST(GetServerInfo, TellsWhatTheServerAccepts) {
  server::Config config = LoopbackConfig();
  config.worker_count = 3;
  config.max_message_bytes = 12'345;
  config.max_in_flight_bytes = 6'789'012;
  RunningServer server(config);
  const v1::GetServerInfoResponse info = GetServerInfo(server);
  EXPECT_EQ(info.worker_count(), 3);
  EXPECT_EQ(info.limits().max_message_bytes(), 12'345);
  EXPECT_EQ(info.limits().max_in_flight_bytes(), 6'789'012);
  EXPECT_EQ(info.limits().max_head_size(), 1024);
}

TEST(GetServerInfo, NamesEveryOption) {
  RunningServer server;
  EXPECT_THAT(GetServerInfo(server).options(),
              ElementsAre("layout", "scale",                                                                  //
                          "mask.causal", "mask.causal.alignment", "mask.causal.offsets",                      //
                          "mask.causal.prefix_lengths", "mask.key_lengths", "mask.boolean",                   //
                          "mask.query_lengths", "mask.window", "mask.window.left", "mask.window.right",       //
                          "mask.segments", "mask.blocks", "mask.blocks.query_block_rows",                     //
                          "mask.blocks.key_block_keys", "empty_row", "return_weights", "return_log_sum_exp",  //
                          "positions", "positions.alignment", "positions.offsets",                            //
                          "ragged", "ragged.query_offsets", "ragged.key_offsets",                             //
                          "bias", "alibi", "bias_place", "soft_cap", "sinks",                                 //
                          "summaries.batch_entries", "summaries.heads", "summaries.query_rows",               //
                          "summaries.head_reduction", "summaries.matrix", "summaries.matrix.stage",           //
                          "summaries.matrix.element_type", "summaries.top_keys", "summaries.entropy",         //
                          "summaries.largest_weight", "summaries.first_keys", "summaries.mean_distance",      //
                          "summaries.received_sum", "summaries.received_maximum", "summaries.pooled_map",     //
                          "summaries.pooled_map.rows", "summaries.pooled_map.columns",                        //
                          "summaries.pooled_map.pooling"));
}

TEST(GetServerInfo, NamesTheKernelOfEveryElementType) {
  RunningServer server;
  const v1::GetServerInfoResponse info = GetServerInfo(server);
  std::vector<v1::ElementType> types;
  for (const v1::KernelInfo& kernel : info.kernels()) {
    types.push_back(kernel.element_type());
    EXPECT_THAT(kernel.kernel(), Not(::testing::IsEmpty()));
  }
  EXPECT_THAT(types, ElementsAre(v1::ELEMENT_TYPE_FLOAT32, v1::ELEMENT_TYPE_BFLOAT16, v1::ELEMENT_TYPE_FLOAT16));
}

}  // namespace
}  // namespace attnd::test

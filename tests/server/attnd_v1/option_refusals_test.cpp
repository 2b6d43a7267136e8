// Every option that is given wrongly is refused by name, with what was found and what was expected, as the caller gets
// it.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/running_server.h"
#include "tests/support/attend_request.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

struct Refusal {
  // What is added to the problem, or to the request where it begins with '+'.
  std::string added;
  std::string text;
};

// Query [2, 4, 5, 8], key [2, 2, 7, 8], value [2, 2, 7, 6] and nothing else.
v1::AttendRequest Padded() {
  Random random = SeededRandom();
  return ToRequest(MakeCase({.sizes = {.batch = 2,
                                       .query_heads = 4,
                                       .key_value_heads = 2,
                                       .query_rows = 5,
                                       .keys = 7,
                                       .head_size = 8,
                                       .value_head_size = 6}},
                            random));
}

// Query [5, 4, 8], key [7, 4, 8], value [7, 4, 6].
v1::AttendRequest Ragged() {
  Random random = SeededRandom();
  v1::AttendRequest request = ToRequest(MakeCase(
      {.sizes =
           {.query_heads = 4, .key_value_heads = 4, .query_rows = 5, .keys = 7, .head_size = 8, .value_head_size = 6},
       .layout = core::Layout::kBshd},
      random));
  v1::AttentionProblem& problem = *request.mutable_problem();
  problem.clear_layout();
  for (v1::TensorDescription* tensor : {problem.mutable_query(), problem.mutable_tensors()->mutable_key(),
                                        problem.mutable_tensors()->mutable_value()}) {
    tensor->mutable_shape()->erase(tensor->shape().begin());
  }
  return request;
}

void ExpectRefused(const v1::AttendRequest& good, const std::vector<Refusal>& refusals) {
  RunningServer server;
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.added);
    v1::AttendRequest request = good;
    const std::string fields =
        refusal.added.starts_with('+') ? refusal.added.substr(1) : "problem { " + refusal.added + " }";
    google::protobuf::TextFormat::Parser parser;
    ASSERT_TRUE(parser.MergeFromString(fields, &request));
    grpc::ClientContext context;
    v1::AttendResponse response;
    const grpc::Status status = server.stub().Attend(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(), refusal.text);
  }
  EXPECT_EQ(server.ScrapeAtRest().at("attnd_in_flight_bytes"), 0);
}

TEST(OptionRefusals, WhereRowsStand) {
  const std::string not_given =
      "alignment: not given, ALIGNMENT_TOP_LEFT or ALIGNMENT_BOTTOM_RIGHT expected, since 5 query rows and 7 keys "
      "differ";
  const std::string counts = " counts from where the rows stand";
  ExpectRefused(
      Padded(),
      {
          {"mask { causal {} }", "problem.mask.causal." + not_given},
          {"mask { causal {} } positions {}", "problem.mask.causal." + not_given},
          {"mask { window { left: 1 } }", "problem.positions." + not_given + " and problem.mask.window" + counts},
          {"alibi { slopes: [1, 1, 1, 1] }", "problem.positions." + not_given + " and problem.alibi" + counts},
          {"summaries { mean_distance: true }",
           "problem.positions." + not_given + " and problem.summaries.mean_distance" + counts},
          {"positions { offsets: 1 }",
           "problem.positions.offsets: 1 offsets found, one for each of 2 batch entries expected"},
          {"positions { alignment: ALIGNMENT_TOP_LEFT offsets: [1, 2] }",
           "problem.positions.alignment: given beside offsets, one of the two expected"},
          {"positions { alignment: ALIGNMENT_TOP_LEFT } mask { causal { offsets: [0, 0] } }",
           "problem.positions: given beside an alignment or offsets of problem.mask.causal, one of the two expected"},
      });
}

TEST(OptionRefusals, LengthsAndWindows) {
  const std::string lengths = ": 3 lengths found, one for each of 2 batch entries expected";
  ExpectRefused(Padded(),
                {
                    {"mask { causal { alignment: ALIGNMENT_TOP_LEFT prefix_lengths: [1, 1, 1] } }",
                     "problem.mask.causal.prefix_lengths" + lengths},
                    {"mask { causal { alignment: ALIGNMENT_TOP_LEFT prefix_lengths: [0, 8] } }",
                     "problem.mask.causal.prefix_lengths[1]: 8 found, 0 to 7 (the number of keys) expected"},
                    {"mask { query_lengths { lengths: [1, 1, 1] } }", "problem.mask.query_lengths.lengths" + lengths},
                    {"mask { query_lengths { lengths: [6, 5] } }",
                     "problem.mask.query_lengths.lengths[0]: 6 found, 0 to 5 (the number of query rows) expected"},
                    {"mask { query_lengths { lengths: [5, -1] } }",
                     "problem.mask.query_lengths.lengths[1]: -1 found, 0 to 5 (the number of query rows) expected"},
                    {"positions { alignment: ALIGNMENT_TOP_LEFT } mask { window { left: -1 } }",
                     "problem.mask.window.left: -1 found, at least 0 expected"},
                    {"positions { alignment: ALIGNMENT_TOP_LEFT } mask { window { left: 0 right: -7 } }",
                     "problem.mask.window.right: -7 found, at least 0 expected"},
                });
}

TEST(OptionRefusals, Segments) {
  const std::string query = "query { element_type: ELEMENT_TYPE_INT32 shape: [2, 5] }";
  const std::string key = "key { element_type: ELEMENT_TYPE_INT32 shape: [2, 7] }";
  ExpectRefused(Padded(),
                {
                    {"mask { segments { query { element_type: ELEMENT_TYPE_BOOL shape: [2, 5] } " + key + " } }",
                     "problem.mask.segments.query.element_type: bool found, int32 expected"},
                    {"mask { segments { query { element_type: ELEMENT_TYPE_INT32 shape: [2, 6] } " + key + " } }",
                     "problem.mask.segments.query.shape: [2, 6] found, [2, 5] expected"},
                    {"mask { segments { " + query + " " + key + " } }",
                     "query_segment_ids_data: 0 bytes found, 40 expected for problem.mask.segments.query of int32 "
                     "[2, 5]"},
                    {"+query_segment_ids_data: 'abc'",
                     "query_segment_ids_data: 3 bytes found, none expected without problem.mask.segments"},
                    {"+key_segment_ids_data: 'abc'",
                     "key_segment_ids_data: 3 bytes found, none expected without problem.mask.segments"},
                });
}

TEST(OptionRefusals, Blocks) {
  const auto blocks = [](int rows, int keys, const std::string& tensor) {
    return "mask { blocks { query_block_rows: " + std::to_string(rows) + " key_block_keys: " + std::to_string(keys) +
           " tensor { " + tensor + " } } }";
  };
  const std::string good = "element_type: ELEMENT_TYPE_BOOL shape: [2, 2]";
  ExpectRefused(
      Padded(),
      {
          {blocks(0, 4, good), "problem.mask.blocks.query_block_rows: 0 found, at least 1 expected"},
          {blocks(4, -4, good), "problem.mask.blocks.key_block_keys: -4 found, at least 1 expected"},
          {blocks(4, 4, "element_type: ELEMENT_TYPE_INT32 shape: [2, 2]"),
           "problem.mask.blocks.tensor.element_type: int32 found, bool expected"},
          {"+problem { " + blocks(4, 4, "element_type: ELEMENT_TYPE_BOOL shape: [3, 2]") +
               " } block_mask_data: '123456'",
           "problem.mask.blocks.tensor.shape: [3, 2] found, which does not broadcast to the blocks' [2, 4, 2, 2]: "
           "dimension 0 is 3, 1 or 2 expected"},
          {blocks(4, 4, good),
           "block_mask_data: 0 bytes found, 4 expected for problem.mask.blocks.tensor of bool [2, 2]"},
          {"+block_mask_data: 'abcd'", "block_mask_data: 4 bytes found, none expected without problem.mask.blocks"},
      });
}

TEST(OptionRefusals, Modifiers) {
  ExpectRefused(
      Padded(),
      {
          {"bias { tensor { element_type: ELEMENT_TYPE_FLOAT16 shape: [5, 7] } }",
           "problem.bias.tensor.element_type: float16 found, float32 or the query's float32 expected"},
          {"+problem { bias { tensor { element_type: ELEMENT_TYPE_FLOAT32 shape: 8 } } } bias_data: '" +
               std::string(32, 'x') + "'",
           "problem.bias.tensor.shape: [8] found, which does not broadcast to the weights' [2, 4, 5, 7]: dimension 0 "
           "is "
           "8, 1 or at most 7 expected"},
          {"bias { tensor { element_type: ELEMENT_TYPE_FLOAT32 shape: [5, 7] } }",
           "bias_data: 0 bytes found, 140 expected for problem.bias.tensor of float32 [5, 7]"},
          {"+bias_data: 'abcd'", "bias_data: 4 bytes found, none expected without problem.bias"},
          {"positions { alignment: ALIGNMENT_TOP_LEFT } alibi { slopes: [1, 2] }",
           "problem.alibi.slopes: 2 slopes found, one for each of 4 query heads expected"},
          {"positions { alignment: ALIGNMENT_TOP_LEFT } alibi { slopes: [1, 2, inf, 3] }",
           "problem.alibi.slopes[2]: inf found, a finite number expected"},
          {"soft_cap: 0",
           "problem.soft_cap: 0 found, a finite number greater than 0 expected (1.17549e-38 to 3.40282e+38)"},
          {"soft_cap: nan",
           "problem.soft_cap: nan found, a finite number greater than 0 expected (1.17549e-38 to 3.40282e+38)"},
          {"sinks: [1, 2, 3, 4, 5]", "problem.sinks: 5 sinks found, one for each of 4 query heads expected"},
          {"sinks: [1, nan, -inf, 4]", "problem.sinks[1]: nan found, a finite number or -inf expected"},
      });
}

TEST(OptionRefusals, Summaries) {
  ExpectRefused(
      Padded(),
      {
          {"summaries { batch_entries: [0, 2] }", "problem.summaries.batch_entries[1]: 2 found, 0 to 1 expected"},
          {"summaries { heads: [3, 3] }", "problem.summaries.heads[1]: 3 found, more than the 3 before it expected"},
          {"summaries { query_rows: -1 }", "problem.summaries.query_rows[0]: -1 found, 0 to 4 expected"},
          {"summaries { top_keys: 257 }", "problem.summaries.top_keys: 257 found, 0 to 256 expected"},
          {"summaries { first_keys: -1 }", "problem.summaries.first_keys: -1 found, 0 to 9223372036854775807 expected"},
          {"summaries { matrix { element_type: ELEMENT_TYPE_BFLOAT16 } }",
           "problem.summaries.matrix.element_type: bfloat16 found, float32 or the query's float32 expected"},
          {"summaries { pooled_map { rows: 0 columns: 1 } }",
           "problem.summaries.pooled_map.rows: 0 found, 1 to 1024 expected"},
          {"summaries { pooled_map { rows: 1 columns: 1025 } }",
           "problem.summaries.pooled_map.columns: 1025 found, 1 to 1024 expected"},
      });
}

TEST(OptionRefusals, RaggedBatches) {
  ExpectRefused(Padded(), {{"ragged { query_offsets: [0, 5] key_offsets: [0, 7] }",
                            "problem.query.shape: rank 4 found, 3 expected with problem.ragged"}});
  ExpectRefused(
      Ragged(),
      {
          {"ragged {}", "problem.ragged.query_offsets: 0 numbers found, at least 2 expected, one more than sequences"},
          {"ragged { query_offsets: [1, 5] key_offsets: [0, 7] }",
           "problem.ragged.query_offsets[0]: 1 found, 0 expected"},
          {"ragged { query_offsets: [0, 3, 2, 5] key_offsets: [0, 7] }",
           "problem.ragged.query_offsets[2]: 2 found, at least the 3 before it expected"},
          {"ragged { query_offsets: [0, 6] key_offsets: [0, 7] }",
           "problem.ragged.query_offsets[1]: 6 found, 5 expected, the rows of the tensor"},
          {"ragged { query_offsets: [0, 2, 5] key_offsets: [0, 7] }",
           "problem.ragged.key_offsets: 2 numbers found, 3 expected, as many as query_offsets"},
          {"ragged { query_offsets: [0, 5] key_offsets: [0, 7] } layout: LAYOUT_BHSD",
           "problem.layout: LAYOUT_BHSD (1) found, LAYOUT_UNSPECIFIED (0) expected beside problem.ragged"},
          {"ragged { query_offsets: [0, 5] key_offsets: [0, 7] } summaries { batch_entries: 0 }",
           "problem.summaries.batch_entries: 1 found, none expected beside problem.ragged"},
          {"ragged { query_offsets: [0, 2, 5] key_offsets: [0, 7, 7] } mask { key_lengths { lengths: [7, 1] } }",
           "problem.mask.key_lengths.lengths[1]: 1 found, 0 to 0 (the number of keys) expected"},
      });
}

}  // namespace
}  // namespace attnd::test

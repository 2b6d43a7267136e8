// Attend over gRPC gives what the core gives, bit for bit: every rank, layout, element type, mask and option.
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "server/attnd_v1/element_type.h"
#include "server/version.h"
#include "tests/server/running_server.h"
#include "tests/support/attend_request.h"
#include "tests/support/combinations.h"
#include "tests/support/engine_call.h"
#include "tests/support/seed.h"
#include "tests/support/summary_expectations.h"

namespace attnd::test {
namespace {

using core::ElementType;
using core::Layout;

constexpr ElementType kElementTypes[] = {ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16};

// Past a tile in both directions.
constexpr Sizes kOneHead = {.query_rows = 70, .keys = 600, .head_size = 33, .value_head_size = 20};
constexpr Sizes kGrouped = {.batch = 2,
                            .query_heads = 4,
                            .key_value_heads = 2,
                            .query_rows = 70,
                            .keys = 600,
                            .head_size = 32,
                            .value_head_size = 48};

core::Shape ShapeOf(const v1::TensorDescription& tensor) { return {tensor.shape().begin(), tensor.shape().end()}; }

std::string Bytes(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

// The core's own answer to a case.
struct Expected {
  explicit Expected(const AttentionCase& attention) {
    EngineCall call(attention);
    const absl::StatusOr<core::Report> run = SharedEngine().Run(call.problem(), call.tensors());
    EXPECT_TRUE(run.ok()) << run.status();
    problem = call.problem();
    report = *run;
    bytes = Bytes(call.OutputBytes());
  }

  core::Problem problem;
  core::Report report;
  std::string bytes;
};

void ExpectDescribed(const v1::AttentionResult& result, const core::Problem& problem) {
  const auto expect = [&](core::Output output, bool is_given, const v1::TensorDescription& found) {
    const core::AnswerTensor& expected = problem.answer[output];
    EXPECT_EQ(is_given, expected.size_bytes > 0);
    if (!is_given) return;
    EXPECT_EQ(ShapeOf(found), expected.description.shape);
    EXPECT_EQ(found.element_type(), server::attnd_v1::ToProto(expected.description.element_type));
  };
  expect(core::Output::kOutput, result.has_output(), result.output());
  expect(core::Output::kWeights, result.has_weights(), result.weights());
  expect(core::Output::kLogSumExp, result.has_log_sum_exp(), result.log_sum_exp());
  expect(core::Output::kMatrix, result.has_matrix(), result.matrix());
  expect(core::Output::kTopKeys, result.has_top_keys(), result.top_keys());
  expect(core::Output::kTopWeights, result.has_top_weights(), result.top_weights());
  expect(core::Output::kEntropy, result.has_entropy(), result.entropy());
  expect(core::Output::kLargestWeight, result.has_largest_weight(), result.largest_weight());
  expect(core::Output::kFirstKeysWeight, result.has_first_keys_weight(), result.first_keys_weight());
  expect(core::Output::kMeanDistance, result.has_mean_distance(), result.mean_distance());
  expect(core::Output::kReceivedSum, result.has_received_sum(), result.received_sum());
  expect(core::Output::kReceivedMaximum, result.has_received_maximum(), result.received_maximum());
  expect(core::Output::kPooledMap, result.has_pooled_map(), result.pooled_map());
}

void ExpectReported(const v1::Report& found, const core::Report& expected) {
  EXPECT_EQ(found.kernel(), expected.kernel);
  EXPECT_EQ(found.query_tile_rows(), expected.query_tile_rows);
  EXPECT_EQ(found.key_tile_keys(), expected.key_tile_keys);
  EXPECT_EQ(found.computed_tiles(), expected.computed_tiles);
  EXPECT_EQ(found.skipped_tiles(), expected.skipped_tiles);
  EXPECT_EQ(found.floating_point_operations(), expected.floating_point_operations);
  EXPECT_EQ(found.empty_rows(), expected.empty_rows);
  EXPECT_EQ(found.fingerprint(), "attnd " + std::string(server::Version()) + ", " + expected.fingerprint);
  EXPECT_EQ(found.summary_tiles(), expected.summary_tiles);
  EXPECT_GT(found.decode_seconds(), 0);
  EXPECT_GE(found.queue_seconds(), 0);
  EXPECT_GT(found.compute_seconds(), 0);
  EXPECT_GT(found.encode_seconds(), 0);
}

void ExpectTheCoresAnswer(RunningServer& server, const AttentionCase& attention) {
  SCOPED_TRACE(ToString(attention));
  const v1::AttendRequest request = ToRequest(attention);
  const v1::AttendResponse response = Attend(server.stub(), request);
  const Expected expected(attention);
  EXPECT_TRUE(OutputBytes(response) == expected.bytes) << "the bits differ";
  EXPECT_EQ(response.result().output().element_type(), request.problem().query().element_type());
  ExpectDescribed(response.result(), expected.problem);
  ExpectReported(response.result().report(), expected.report);
}

class AttendTest : public ::testing::TestWithParam<ElementType> {
 protected:
  AttentionCase Make(const Sizes& sizes, int rank = 4, Layout layout = Layout::kBhsd) {
    return MakeCase({.sizes = sizes, .element_type = GetParam(), .rank = rank, .layout = layout}, random_);
  }

  RunningServer server_;
  Random random_ = SeededRandom();
};
INSTANTIATE_TEST_SUITE_P(Attend, AttendTest, ::testing::ValuesIn(kElementTypes),
                         [](const auto& type) { return std::string(core::ElementTypeName(type.param)); });

TEST_P(AttendTest, EveryRankAndLayout) {
  ExpectTheCoresAnswer(server_, Make(kOneHead, 2));
  Sizes batch = kOneHead;
  batch.batch = 3;
  ExpectTheCoresAnswer(server_, Make(batch, 3));
  ExpectTheCoresAnswer(server_, Make(kGrouped, 4, Layout::kBhsd));
  ExpectTheCoresAnswer(server_, Make(kGrouped, 4, Layout::kBshd));
}

TEST_P(AttendTest, EveryMaskAloneAndTogether) {
  for (const Layout layout : {Layout::kBhsd, Layout::kBshd}) {
    for (unsigned masks = 0; masks < 8; ++masks) {
      AttentionCase attention = Make(kGrouped, 4, layout);
      core::MaskOptions& mask = attention.description.mask;
      if ((masks & 1) != 0) mask.causal = Causal(core::Alignment::kBottomRight);
      if ((masks & 2) != 0) mask.key_lengths = {{580, 0}};
      if ((masks & 4) != 0) AddBooleanMask(attention, {2, 1, 70, 600}, 0.7, random_);
      ExpectTheCoresAnswer(server_, attention);
    }
  }
}

TEST_P(AttendTest, BothCausalAlignmentsAndNone) {
  Sizes square = kGrouped;
  square.keys = square.query_rows;
  AttentionCase attention = Make(square);
  attention.description.mask.causal = Causal(core::Alignment::kUnspecified);
  ExpectTheCoresAnswer(server_, attention);
  attention = Make(kGrouped);
  attention.description.mask.causal = Causal(core::Alignment::kTopLeft);
  ExpectTheCoresAnswer(server_, attention);
}

TEST_P(AttendTest, ScaleAndWhatIsReturned) {
  AttentionCase attention = Make(kGrouped);
  for (const double scale : {0.0, -1.5, 0.37}) {
    attention.description.scale = scale;
    ExpectTheCoresAnswer(server_, attention);
  }
  for (const bool weights : {false, true}) {
    for (const bool log_sum_exp : {false, true}) {
      attention.description.return_weights = weights;
      attention.description.return_log_sum_exp = log_sum_exp;
      ExpectTheCoresAnswer(server_, attention);
    }
  }
}

TEST_P(AttendTest, EmptyRowsInBothWays) {
  AttentionCase attention = Make(kGrouped);
  attention.description.mask.key_lengths = {{0, 7}};
  for (const core::EmptyRow empty_row : {core::EmptyRow::kZero, core::EmptyRow::kMeanOfAllValues}) {
    attention.description.empty_row = empty_row;
    ExpectTheCoresAnswer(server_, attention);
  }
}

TEST_P(AttendTest, AnyOptionsThatMeet) {
  for (int n = 0; n < 60 && !HasFailure(); ++n) {
    ExpectTheCoresAnswer(server_, RandomCombination(GetParam(), n % 3 == 0, random_));
  }
}

TEST_P(AttendTest, AnySummaries) {
  for (int n = 0; n < 30 && !HasFailure(); ++n) {
    AttentionCase attention = RandomCombination(GetParam(), n % 3 == 0, random_);
    attention.description.summaries = RandomSummaries(attention, random_);
    ExpectTheCoresAnswer(server_, attention);
  }
}

TEST(ConcurrentCalls, HaveTheBitsThatEachHasAlone) {
  constexpr int kThreads = 8;
  constexpr int kCallsPerThread = 12;
  Random random = SeededRandom();
  std::vector<v1::AttendRequest> requests;
  std::vector<std::string> expected;
  for (int i = 0; i < kThreads; ++i) {
    Sizes sizes = kGrouped;
    sizes.keys = 40 + 130 * i;
    AttentionCase attention = MakeCase({.sizes = sizes, .element_type = kElementTypes[i % 3]}, random);
    attention.description.mask.causal = Causal(core::Alignment::kBottomRight);
    requests.push_back(ToRequest(attention));
    expected.push_back(Expected(attention).bytes);
  }

  RunningServer server;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      // Each thread goes through all cases, and each begins with another one.
      for (int call = 0; call < kCallsPerThread; ++call) {
        const auto index = static_cast<std::size_t>((thread + call) % kThreads);
        EXPECT_TRUE(OutputBytes(Attend(server.stub(), requests[index])) == expected[index]) << "case " << index;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(server.ScrapeAtRest().at("attnd_requests_in_flight"), 0);
}

}  // namespace
}  // namespace attnd::test

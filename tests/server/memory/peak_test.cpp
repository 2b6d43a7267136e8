// What a request makes the server take, seen from outside: gRPC's slices, one copy, packed keys and values, the output,
// and 4 MiB. Tensors lie in large blocks and gRPC's slices in small ones, so each is held against its own bound: how
// far gRPC reads ahead changes from run to run.
#include <absl/functional/function_ref.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <string>
#include <utility>

#include "core/engine.h"
#include "tests/server/memory/hooked_server.h"
#include "tests/server/running_server.h"
#include "tests/server/scrape.h"
#include "tests/support/attend_request.h"
#include "tests/support/engine_call.h"
#include "tests/support/seed.h"

namespace attnd::test {
namespace {

constexpr std::int64_t kMebibyte = 1 << 20;
constexpr std::int64_t kAllowedBytes = 4 * kMebibyte;
constexpr int kWorkers = 2;

// 64 MiB of query, key and value, nearly all of it keys and values.
constexpr Sizes kManyKeys = {
    .query_heads = 8, .key_value_heads = 8, .query_rows = 64, .keys = 16'352, .head_size = 64, .value_head_size = 64};
// 64 MiB of which nearly all is query, and as much output.
constexpr Sizes kManyQueries = {
    .query_heads = 8, .key_value_heads = 8, .query_rows = 32'640, .keys = 64, .head_size = 64, .value_head_size = 64};

// The description, and elements that are all 0: their numbers do not matter here.
v1::AttendRequest RequestOf(const Sizes& sizes, core::ProblemDescription& description) {
  const auto float32 = [](core::Shape shape) { return core::TensorDescription{core::ElementType::kFloat32, shape}; };
  description.query = float32({sizes.batch, sizes.query_heads, sizes.query_rows, sizes.head_size});
  description.key = float32({sizes.batch, sizes.key_value_heads, sizes.keys, sizes.head_size});
  description.value = float32({sizes.batch, sizes.key_value_heads, sizes.keys, sizes.value_head_size});
  const auto size_bytes = [](const core::TensorDescription& tensor) { return *core::SizeBytes(tensor, ""); };
  description.size_bytes = {
      {size_bytes(description.query), size_bytes(description.key), size_bytes(description.value)}};
  AttentionCase attention;
  attention.description = description;
  v1::AttendRequest request = ToRequest(attention);
  const auto zeros = [&](core::Input input) {
    return std::string(static_cast<std::size_t>(description.size_bytes[input]), '\0');
  };
  request.set_query_data(zeros(core::Input::kQuery));
  request.set_key_data(zeros(core::Input::kKey));
  request.set_value_data(zeros(core::Input::kValue));
  return request;
}

std::int64_t TensorBytes(const core::ProblemDescription& description) {
  return std::accumulate(description.size_bytes.begin(), description.size_bytes.end(), std::int64_t{0});
}

class PeakTest : public ::testing::Test {
 protected:
  PeakTest() {
    // Made once and kept: products, what gRPC and the allocator keep for a connection, and the like.
    Call(kManyKeys);
    Call(kManyQueries);
  }

  // Waits until no call holds anything any more.
  Samples AtRest() {
    const absl::Time deadline = absl::Now() + absl::Minutes(1);
    while (true) {
      Samples samples = ParseSamples(ScrapeMetrics(server_.metrics_address()));
      const bool at_rest = samples.at("attnd_requests_in_flight") == 0 && samples.at("attnd_in_flight_bytes") == 0;
      if (at_rest || absl::Now() > deadline) {
        EXPECT_TRUE(at_rest);
        return samples;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
  }

  v1::AttendResponse Call(const Sizes& sizes) {
    core::ProblemDescription description;
    return Attend(*stub_, RequestOf(sizes, description));
  }

  // The most that is held while the call goes on, beyond what is held before it.
  struct Peak {
    std::int64_t large_bytes = 0;
    std::int64_t small_bytes = 0;
    grpc::Status status;
  };
  Peak Measure(const v1::AttendRequest& request, grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) {
    return MeasureCall([&] {
      grpc::ClientContext context;
      context.set_compression_algorithm(compression);
      v1::AttendResponse response;
      return stub_->Attend(&context, request, &response);
    });
  }

  Peak MeasureCall(absl::FunctionRef<grpc::Status()> call) {
    AtRest();
    MallocCounters& allocations = server_.allocations();
    const auto start = [](MallocCounter& counter) { return (counter.peak_bytes = counter.current_bytes.load()); };
    const std::int64_t large_before = start(allocations.large);
    const std::int64_t small_before = start(allocations.small);
    Peak peak;
    peak.status = call();
    AtRest();
    peak.large_bytes = allocations.large.peak_bytes - large_before;
    peak.small_bytes = allocations.small.peak_bytes - small_before;
    std::printf("peak: %.2f MiB in large blocks, %.2f MiB in small ones\n", InMebibytes(peak.large_bytes),
                InMebibytes(peak.small_bytes));
    return peak;
  }

  void ExpectNoMoreThanNeeded(const Sizes& sizes) {
    core::ProblemDescription description;
    const v1::AttendRequest request = RequestOf(sizes, description);
    const absl::StatusOr<core::Problem> problem = core::CheckProblem(description, {});
    ASSERT_TRUE(problem.ok()) << problem.status();
    const std::int64_t copy_bytes = TensorBytes(description);
    EXPECT_EQ(copy_bytes, 64 * kMebibyte);
    const std::int64_t packed_bytes = core::Engine({.worker_count = kWorkers}).WorkingSizeBytes(*problem);
    const std::int64_t output_bytes = problem->answer[core::Output::kOutput].size_bytes;
    const auto message_bytes = static_cast<std::int64_t>(request.ByteSizeLong());

    const double copied_before = AtRest().at("attnd_copied_bytes_total");
    const Peak peak = Measure(request);
    std::printf("copy %.2f MiB, packed %.2f MiB, output %.2f MiB\n", InMebibytes(copy_bytes), InMebibytes(packed_bytes),
                InMebibytes(output_bytes));
    EXPECT_TRUE(peak.status.ok()) << peak.status.error_message();
    EXPECT_LE(peak.large_bytes, copy_bytes + packed_bytes + output_bytes + kAllowedBytes);
    EXPECT_GE(peak.large_bytes, copy_bytes - kMebibyte);  // the hook sees them, but for a small tensor
    EXPECT_LT(peak.small_bytes, 2 * message_bytes) << "gRPC's slices, or another copy of them";

    const double copied = AtRest().at("attnd_copied_bytes_total") - copied_before;
    EXPECT_GE(copied, static_cast<double>(copy_bytes));
    EXPECT_LE(copied, static_cast<double>(message_bytes));
  }

  // The same request in parts of a mebibyte, on a stream.
  grpc::Status CallInParts(const v1::AttendRequest& request) {
    grpc::ClientContext context;
    const auto stream = stub_->StreamAttend(&context);
    v1::StreamAttendRequest message;
    message.set_id(1);
    v1::StreamStart& start = *message.mutable_start();
    *start.mutable_problem() = request.problem();
    start.set_query_size_bytes(static_cast<std::int64_t>(request.query_data().size()));
    start.set_key_size_bytes(static_cast<std::int64_t>(request.key_data().size()));
    start.set_value_size_bytes(static_cast<std::int64_t>(request.value_data().size()));
    stream->Write(message);
    for (const auto& [tensor, data] :
         {std::pair(v1::TENSOR_NAME_QUERY, &request.query_data()), std::pair(v1::TENSOR_NAME_KEY, &request.key_data()),
          std::pair(v1::TENSOR_NAME_VALUE, &request.value_data())}) {
      for (std::size_t begin = 0; begin < data->size(); begin += kMebibyte) {
        message.mutable_part()->set_tensor(tensor);
        message.mutable_part()->set_offset_bytes(static_cast<std::int64_t>(begin));
        message.mutable_part()->set_data(data->substr(begin, kMebibyte));
        stream->Write(message);
      }
    }
    stream->WritesDone();
    v1::StreamAttendResponse response;
    std::size_t output_bytes = 0;
    while (stream->Read(&response)) output_bytes += response.part().data().size();
    EXPECT_EQ(response.status().code(), 0) << response.status().message();
    EXPECT_GT(output_bytes, 0u);
    return stream->Finish();
  }

  // Begins a request of [batch, 1, 1] with the sizes that this takes, and nothing more.
  grpc::Status CallWithClaim(std::int64_t batch, const std::string& options) {
    const std::string tensor = absl::StrCat("{ element_type: ELEMENT_TYPE_FLOAT32 shape: [", batch, ", 1, 1] }");
    const std::string problem = absl::StrCat("query ", tensor, " tensors { key ", tensor, " value ", tensor, " } ",
                                             absl::StrReplaceAll(options, {{"BATCH", absl::StrCat(batch)}}));
    v1::StreamAttendRequest message;
    message.set_id(1);
    v1::StreamStart& start = *message.mutable_start();
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(problem, start.mutable_problem()));
    start.set_query_size_bytes(batch * 4);
    start.set_key_size_bytes(batch * 4);
    start.set_value_size_bytes(batch * 4);
    if (start.problem().has_bias()) start.set_bias_size_bytes(batch * 4);
    if (start.problem().mask().has_segments()) {
      start.set_query_segment_ids_size_bytes(batch * 4);
      start.set_key_segment_ids_size_bytes(batch * 4);
    }
    grpc::ClientContext context;
    const auto stream = stub_->StreamAttend(&context);
    stream->Write(message);
    v1::StreamAttendResponse response;
    EXPECT_TRUE(stream->Read(&response));
    const bool is_refused = response.status().code() == grpc::StatusCode::RESOURCE_EXHAUSTED ||
                            response.status().code() == grpc::StatusCode::INVALID_ARGUMENT;
    EXPECT_TRUE(is_refused) << response.status().code();
    EXPECT_TRUE(absl::StrContains(response.status().message(), "it is never accepted") ||
                absl::StrContains(response.status().message(), "takes more bytes than fit in 63 bits"))
        << response.status().message();
    stream->WritesDone();
    return stream->Finish();
  }

  static double InMebibytes(std::int64_t bytes) { return static_cast<double>(bytes) / kMebibyte; }

  HookedServer server_{
      {absl::StrCat("--workers=", kWorkers), "--max-message-bytes=256MiB", "--max-in-flight-bytes=1GiB"}};
  std::shared_ptr<grpc::Channel> channel_ = Connect(server_.grpc_address());
  std::unique_ptr<v1::AttentionService::Stub> stub_ = v1::AttentionService::NewStub(channel_);
};

TEST_F(PeakTest, OfARequestWithManyKeys) { ExpectNoMoreThanNeeded(kManyKeys); }

TEST_F(PeakTest, OfARequestWithMuchOutput) { ExpectNoMoreThanNeeded(kManyQueries); }

// What its start reserves is all that it takes, but for some parts on their way.
TEST_F(PeakTest, OfARequestInParts) {
  core::ProblemDescription description;
  const v1::AttendRequest request = RequestOf(kManyKeys, description);
  const absl::StatusOr<core::Problem> problem = core::CheckProblem(description, {});
  ASSERT_TRUE(problem.ok()) << problem.status();
  const std::int64_t reserved_bytes = TensorBytes(description) +
                                      core::Engine({.worker_count = kWorkers}).WorkingSizeBytes(*problem) +
                                      problem->answer[core::Output::kOutput].size_bytes;
  ASSERT_TRUE(CallInParts(request).ok());  // what is made once and kept
  const Peak peak = MeasureCall([&] { return CallInParts(request); });
  std::printf("reserved at the start: %.2f MiB\n", InMebibytes(reserved_bytes));
  EXPECT_TRUE(peak.status.ok()) << peak.status.error_message();
  EXPECT_LE(peak.large_bytes, reserved_bytes + kAllowedBytes);
  EXPECT_LE(peak.small_bytes, 16 * kMebibyte) << "gRPC's slices";
}

// Refused before anything beyond the message is allocated.
TEST_F(PeakTest, OfARequestThatContradictsItself) {
  core::ProblemDescription description;
  v1::AttendRequest request = RequestOf(kManyKeys, description);
  request.mutable_problem()->mutable_query()->set_shape(2, 65);
  const Peak peak = Measure(request);
  EXPECT_EQ(peak.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(peak.large_bytes, 0);
}

// What a request in parts claims to come is held against the limits before anything that grows with it is allocated:
// neither tensors, nor offsets, lengths or tiles.
TEST_F(PeakTest, OfAbsurdClaims) {
  for (const std::int64_t batch : {std::int64_t{1} << 28, std::int64_t{1} << 40, std::int64_t{1} << 60}) {
    for (const std::string options :
         {"mask { causal { alignment: ALIGNMENT_BOTTOM_RIGHT } }", "return_weights: true return_log_sum_exp: true",
          "positions { alignment: ALIGNMENT_TOP_LEFT } mask { window { left: 0 } }",
          "summaries { top_keys: 256 entropy: true received_sum: true pooled_map { rows: 1024 columns: 1024 } }",
          R"(mask { segments { query { element_type: ELEMENT_TYPE_INT32 shape: [BATCH, 1] }
                               key { element_type: ELEMENT_TYPE_INT32 shape: [BATCH, 1] } } })",
          "bias { tensor { element_type: ELEMENT_TYPE_FLOAT32 shape: [BATCH, 1, 1] } }"}) {
      SCOPED_TRACE(absl::StrCat(batch, ": ", options));
      const Peak peak = MeasureCall([&] { return CallWithClaim(batch, options); });
      EXPECT_EQ(peak.large_bytes, 0);
      EXPECT_LE(peak.small_bytes, kMebibyte);
    }
  }
}

// Refused before it is inflated: these 64 MiB are less than 1 MiB on the wire.
TEST_F(PeakTest, OfACompressedRequest) {
  core::ProblemDescription description;
  const Peak peak = Measure(RequestOf(kManyKeys, description), GRPC_COMPRESS_GZIP);
  EXPECT_EQ(peak.status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_LE(peak.large_bytes + peak.small_bytes, kAllowedBytes);
}

}  // namespace
}  // namespace attnd::test

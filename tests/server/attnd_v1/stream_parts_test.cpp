// StreamAttend through a whole server: requests whose tensors come in parts have the bits of Attend, whatever tensors
// they have.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/attnd_v1/tensor_names.h"
#include "tests/server/running_server.h"
#include "tests/support/attend_request.h"
#include "tests/support/combinations.h"
#include "tests/support/engine_call.h"
#include "tests/support/seed.h"
#include "tests/support/summary_expectations.h"

namespace attnd::test {
namespace {

std::string DataOf(const v1::AttendRequest& request, core::Input input) {
  const google::protobuf::FieldDescriptor* field =
      v1::AttendRequest::descriptor()->FindFieldByNumber(server::attnd_v1::DataFieldNumber(input));
  return request.GetReflection()->GetString(request, field);
}

v1::StreamAttendRequest Start(const v1::AttendRequest& request) {
  v1::StreamAttendRequest message;
  message.set_id(1);
  v1::StreamStart& start = *message.mutable_start();
  *start.mutable_problem() = request.problem();
  start.set_query_size_bytes(static_cast<std::int64_t>(request.query_data().size()));
  start.set_key_size_bytes(static_cast<std::int64_t>(request.key_data().size()));
  start.set_value_size_bytes(static_cast<std::int64_t>(request.value_data().size()));
  start.set_mask_size_bytes(static_cast<std::int64_t>(request.mask_data().size()));
  start.set_bias_size_bytes(static_cast<std::int64_t>(request.bias_data().size()));
  start.set_query_segment_ids_size_bytes(static_cast<std::int64_t>(request.query_segment_ids_data().size()));
  start.set_key_segment_ids_size_bytes(static_cast<std::int64_t>(request.key_segment_ids_data().size()));
  start.set_block_mask_size_bytes(static_cast<std::int64_t>(request.block_mask_data().size()));
  return message;
}

// All parts, each of up to `part_bytes`, the tensors in a random order.
std::vector<v1::StreamAttendRequest> Parts(const v1::AttendRequest& request, std::size_t part_bytes, Random& random) {
  std::vector<core::Input> inputs(core::kInputs.begin(), core::kInputs.end());
  std::ranges::shuffle(inputs, random);
  std::vector<v1::StreamAttendRequest> parts;
  for (const core::Input input : inputs) {
    const std::string data = DataOf(request, input);
    for (std::size_t begin = 0; begin < data.size(); begin += part_bytes) {
      v1::StreamAttendRequest& message = parts.emplace_back();
      message.set_id(1);
      message.mutable_part()->set_tensor(server::attnd_v1::ToProto(input));
      message.mutable_part()->set_offset_bytes(static_cast<std::int64_t>(begin));
      message.mutable_part()->set_data(data.substr(begin, part_bytes));
    }
  }
  return parts;
}

struct StreamedAnswer {
  v1::StreamStatus status;
  v1::AttentionResult result;
  std::string elements;  // of all tensors, as they came
};

StreamedAnswer Stream(RunningServer& server, const std::vector<v1::StreamAttendRequest>& messages) {
  grpc::ClientContext context;
  const auto stream = server.stub().StreamAttend(&context);
  for (const v1::StreamAttendRequest& message : messages) stream->Write(message);
  stream->WritesDone();
  StreamedAnswer answer;
  v1::StreamAttendResponse response;
  while (stream->Read(&response)) {
    if (response.has_result()) answer.result = response.result();
    answer.elements += response.part().data();
    if (response.has_status()) answer.status = response.status();
  }
  EXPECT_TRUE(stream->Finish().ok());
  return answer;
}

TEST(StreamParts, HaveTheBitsOfAttendWhateverTensorsThereAre) {
  RunningServer server;
  Random random = SeededRandom();
  core::PerInput<int> seen;
  for (int n = 0; n < 40; ++n) {
    AttentionCase attention = RandomCombination(core::ElementType::kFloat32, n % 3 == 0, random);
    attention.description.summaries = RandomSummaries(attention, random);
    SCOPED_TRACE(ToString(attention));
    const v1::AttendRequest request = ToRequest(attention);
    for (const core::Input input : core::kInputs) seen[input] += DataOf(request, input).empty() ? 0 : 1;
    std::vector<v1::StreamAttendRequest> messages = {Start(request)};
    for (v1::StreamAttendRequest& part : Parts(request, 1 + random() % 5000, random)) messages.push_back(part);
    const StreamedAnswer answer = Stream(server, messages);
    ASSERT_EQ(answer.status.code(), 0) << answer.status.message();
    const std::vector<std::uint8_t> expected = AttendForBytes(SharedEngine(), attention);
    EXPECT_TRUE(answer.elements == std::string(expected.begin(), expected.end())) << "the bits differ";
  }
  for (const core::Input input : core::kInputs) EXPECT_GT(seen[input], 0) << static_cast<int>(input);
}

// The first tensor of which bytes are missing is named.
TEST(StreamParts, AMissingTensorIsNamed) {
  RunningServer server;
  Random random = SeededRandom();
  AttentionCase attention = MakeCase({.sizes = {.batch = 2, .query_rows = 5, .keys = 7, .head_size = 4}}, random);
  AddSegments(attention, /*sorted=*/true, random);
  const v1::AttendRequest request = ToRequest(attention);
  std::vector<v1::StreamAttendRequest> messages = {Start(request)};
  for (v1::StreamAttendRequest& part : Parts(request, 1000, random)) {
    if (part.part().tensor() != v1::TENSOR_NAME_KEY_SEGMENT_IDS) messages.push_back(part);
  }
  const StreamedAnswer answer = Stream(server, messages);
  EXPECT_EQ(answer.status.code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(answer.status.message(),
            "part: 0 bytes of key_segment_ids found, 56 expected before the stream is half-closed");
}

}  // namespace
}  // namespace attnd::test

// The wire of attnd.v1 without a network: bytes of messages a second. Large messages show what their copy into tensors
// costs, small ones what understanding them costs.
#include <attnd/v1/attention.pb.h>
#include <benchmark/benchmark.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <memory>
#include <string>
#include <vector>

#include "core/tensors.h"
#include "server/attend.h"
#include "server/attnd_v1/decode.h"
#include "server/attnd_v1/encode.h"
#include "server/tensor_memory.h"
#include "tests/bench/micro_bench.h"
#include "tests/bench/micro_inputs.h"

namespace attnd::bench {
namespace {

namespace wire = server::attnd_v1;

// HTTP/2's default for the largest frame (RFC 9113, 6.5.2): gRPC hands messages out in slices of about that size.
constexpr std::size_t kSliceBytes = 16384;

void Describe(const core::TensorDescription& tensor, v1::TensorDescription& result) {
  result.set_element_type(v1::ELEMENT_TYPE_FLOAT32);
  result.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
}

// The elements themselves do not matter.
grpc::ByteBuffer MakeRequest(const core::ProblemDescription& description) {
  v1::AttendRequest request;
  v1::AttentionProblem& problem = *request.mutable_problem();
  Describe(description.query, *problem.mutable_query());
  Describe(description.key, *problem.mutable_tensors()->mutable_key());
  Describe(description.value, *problem.mutable_tensors()->mutable_value());
  const std::string elements(static_cast<std::size_t>(description.size_bytes[core::Input::kQuery]), '\0');
  request.set_query_data(elements);
  request.set_key_data(elements);
  request.set_value_data(elements);
  const std::string message = request.SerializeAsString();
  std::vector<grpc::Slice> slices;
  for (std::size_t begin = 0; begin < message.size(); begin += kSliceBytes) {
    slices.emplace_back(message.substr(begin, kSliceBytes));
  }
  return {slices.data(), slices.size()};
}

// As the server does it, into memory that was used before.
absl::Status DecodeInto(grpc::ByteBuffer& message, const server::InputMemory& memory) {
  wire::ScannedMessage scanned;
  grpc::ProtoBufferReader to_scan(&message);
  const auto size_bytes = static_cast<std::int64_t>(message.Length());
  if (absl::Status status = wire::ScanRequest(to_scan, size_bytes, scanned); !status.ok()) return status;
  const absl::StatusOr<v1::AttendRequest> request = wire::ParseRequest(scanned);
  if (!request.ok()) return request.status();
  const absl::StatusOr<core::ProblemDescription> description = wire::ToDescription(*request, scanned);
  if (!description.ok()) return description.status();
  grpc::ProtoBufferReader to_copy(&message);
  wire::CopyPayloads(to_copy, scanned, memory);
  return absl::OkStatus();
}

void Decode(benchmark::State& state, const SelfAttention& sizes) {
  const core::ProblemDescription description = Describe(sizes);
  grpc::ByteBuffer message = MakeRequest(description);
  server::KeptMemory kept(0);
  core::PerInput<server::TensorMemory> tensors;
  server::InputMemory memory;
  for (const core::Input input : core::kInputs) {
    tensors[input] = server::TensorMemory::Allocate(description.size_bytes[input], kept).value();
    memory[input] = tensors[input].data();
  }
  for (auto _ : state) {
    if (absl::Status status = DecodeInto(message, memory); !status.ok()) return state.SkipWithError(status.ToString());
    benchmark::ClobberMemory();
  }
  ReportRate(state, "bytes", static_cast<double>(message.Length()));
}

// Elements are not copied but lent, so their number hardly matters.
void Encode(benchmark::State& state, const SelfAttention& sizes) {
  const core::ProblemDescription description = Describe(sizes);
  const std::int64_t size_bytes = description.size_bytes[core::Input::kQuery];
  server::KeptMemory kept(0);
  const auto answer = std::make_shared<server::Answer>();
  answer->descriptions[core::Output::kOutput] = {.description = description.query, .size_bytes = size_bytes};
  answer->tensors[core::Output::kOutput] = server::TensorMemory::Allocate(size_bytes, kept).value();
  double message_bytes = 0;
  for (auto _ : state) {
    message_bytes = static_cast<double>(wire::Encode(answer, /*encode_seconds=*/0).Length());
  }
  ReportRate(state, "bytes", message_bytes);
}

}  // namespace

void RegisterWire() {
  const auto add = [](const std::string& name, void (*run)(benchmark::State&, const SelfAttention&),
                      const SelfAttention& sizes) {
    benchmark::RegisterBenchmark(name, [=](benchmark::State& state) { run(state, sizes); });
  };
  // Three tensors in a request, one in an answer.
  add("decode 100 B", Decode, {.length = 1, .head_size = 4});
  add("decode 16 MB", Decode, {.heads = 16, .length = 1280, .head_size = 64});
  add("encode 100 B", Encode, {.length = 1, .head_size = 12});
  add("encode 16 MB", Encode, {.heads = 16, .length = 3840, .head_size = 64});
}

}  // namespace attnd::bench

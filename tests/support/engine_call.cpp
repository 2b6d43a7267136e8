#include "tests/support/engine_call.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

constexpr std::size_t kAlignmentBytes = 64;
constexpr std::size_t kGuardBytes = 64;
constexpr std::uint8_t kGuard = 0xa5;

std::vector<std::uint8_t> BytesOf(const std::vector<std::int32_t>& numbers) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(numbers.data());
  return {bytes, bytes + numbers.size() * sizeof(std::int32_t)};
}

bool IsGuard(std::uint8_t byte) { return byte == kGuard; }

}  // namespace

EngineCall::Buffer EngineCall::MakeBuffer(std::size_t size_bytes, std::size_t offset_bytes) {
  Buffer buffer;
  buffer.bytes.assign(size_bytes + 2 * kGuardBytes + kAlignmentBytes + offset_bytes, kGuard);
  const auto address = reinterpret_cast<std::uintptr_t>(buffer.bytes.data()) + kGuardBytes;
  buffer.begin = kGuardBytes + (kAlignmentBytes - address % kAlignmentBytes) % kAlignmentBytes + offset_bytes;
  buffer.size_bytes = size_bytes;
  return buffer;
}

EngineCall::Buffer EngineCall::MakeBuffer(const std::vector<std::uint8_t>& content, std::size_t offset_bytes) {
  Buffer buffer = MakeBuffer(content.size(), offset_bytes);
  std::ranges::copy(content, buffer.data());
  return buffer;
}

EngineCall::EngineCall(const AttentionCase& attention, Placement placement) {
  const absl::StatusOr<core::Problem> problem = core::CheckProblem(attention.description, {});
  if (!problem.ok()) throw std::invalid_argument(problem.status().ToString() + "\n" + ToString(attention));
  problem_ = *problem;
  const core::ElementType type = problem_.element_type;
  const bool moved = placement == Placement::kOneElementPastAligned;
  const std::size_t element = moved ? core::ElementSizeBytes(type) : 0;
  const std::size_t single = moved ? sizeof(float) : 0;
  query_ = MakeBuffer(Encode(type, attention.query), element);
  key_ = MakeBuffer(Encode(type, attention.key), element);
  value_ = MakeBuffer(Encode(type, attention.value), element);
  mask_ = MakeBuffer(attention.mask, moved ? 1 : 0);
  if (problem_.bias) bias_ = MakeBuffer(Encode(problem_.bias->element_type, attention.bias), moved ? 4 : 0);
  query_segment_ids_ = MakeBuffer(BytesOf(attention.query_segment_ids), single);
  key_segment_ids_ = MakeBuffer(BytesOf(attention.key_segment_ids), single);
  block_mask_ = MakeBuffer(attention.block_mask, moved ? 1 : 0);
  for (std::size_t n = 0; n < core::kOutputCount; ++n) {
    const auto name = static_cast<core::Output>(n);
    const core::AnswerTensor& tensor = problem_.answer[name];
    const bool is_half = core::ElementSizeBytes(tensor.description.element_type) == 2;
    outputs_[name] = MakeBuffer(static_cast<std::size_t>(tensor.size_bytes), moved && is_half ? element : single);
  }
}

core::Tensors EngineCall::tensors() {
  const auto floats = [this](core::Output name) { return reinterpret_cast<float*>(output_data(name)); };
  return {.query = query_.data(),
          .key = key_.data(),
          .value = value_.data(),
          .mask = problem_.boolean_mask ? mask_.data() : nullptr,
          .bias = problem_.bias ? bias_.data() : nullptr,
          .query_segment_ids = reinterpret_cast<const std::int32_t*>(query_segment_ids_.data()),
          .key_segment_ids = reinterpret_cast<const std::int32_t*>(key_segment_ids_.data()),
          .block_mask = problem_.block_mask ? block_mask_.data() : nullptr,
          .output = output_data(core::Output::kOutput),
          .weights = floats(core::Output::kWeights),
          .log_sum_exp = floats(core::Output::kLogSumExp),
          .matrix = output_data(core::Output::kMatrix),
          .top_keys = reinterpret_cast<std::int32_t*>(output_data(core::Output::kTopKeys)),
          .top_weights = floats(core::Output::kTopWeights),
          .entropy = floats(core::Output::kEntropy),
          .largest_weight = floats(core::Output::kLargestWeight),
          .first_keys_weight = floats(core::Output::kFirstKeysWeight),
          .mean_distance = floats(core::Output::kMeanDistance),
          .received_sum = floats(core::Output::kReceivedSum),
          .received_maximum = floats(core::Output::kReceivedMaximum),
          .pooled_map = floats(core::Output::kPooledMap)};
}

std::uint8_t* EngineCall::output_data(core::Output name) {
  return problem_.answer[name].size_bytes > 0 ? outputs_[name].data() : nullptr;
}

std::vector<double> EngineCall::Decoded(core::Output name) const {
  const core::ElementType type = problem_.answer[name].description.element_type;
  const Buffer& buffer = outputs_[name];
  if (type != core::ElementType::kInt32) {
    return Decode(type, buffer.data(), buffer.size_bytes / core::ElementSizeBytes(type));
  }
  std::vector<double> numbers(buffer.size_bytes / sizeof(std::int32_t));
  for (std::size_t n = 0; n < numbers.size(); ++n) {
    std::int32_t number = 0;
    std::memcpy(&number, buffer.data() + n * sizeof(number), sizeof(number));
    numbers[n] = number;
  }
  return numbers;
}

std::vector<std::uint8_t> EngineCall::OutputBytes() const {
  std::vector<std::uint8_t> bytes;
  for (const Buffer& buffer : outputs_) {
    bytes.insert(bytes.end(), buffer.data(), buffer.data() + buffer.size_bytes);
  }
  return bytes;
}

Answer EngineCall::ToAnswer(const core::Report& report) const {
  return {.output = Decoded(core::Output::kOutput),
          .weights = Decoded(core::Output::kWeights),
          .log_sum_exp = Decoded(core::Output::kLogSumExp),
          .empty_rows = report.empty_rows};
}

bool EngineCall::GuardsAreIntact() const {
  return std::ranges::all_of(outputs_, [](const Buffer& buffer) {
    const auto begin = buffer.bytes.begin() + static_cast<std::ptrdiff_t>(buffer.begin);
    return std::all_of(buffer.bytes.begin(), begin, IsGuard) &&
           std::all_of(begin + static_cast<std::ptrdiff_t>(buffer.size_bytes), buffer.bytes.end(), IsGuard);
  });
}

Answer Attend(core::Engine& engine, const AttentionCase& attention, EngineCall::Placement placement) {
  EngineCall call(attention, placement);
  if (::testing::Test::HasFatalFailure()) return {};
  const absl::StatusOr<core::Report> report = engine.Run(call.problem(), call.tensors());
  EXPECT_TRUE(report.ok()) << report.status() << "\n" << ToString(attention);
  EXPECT_TRUE(call.GuardsAreIntact()) << ToString(attention);
  return report.ok() ? call.ToAnswer(*report) : Answer{};
}

std::vector<std::uint8_t> AttendForBytes(core::Engine& engine, const AttentionCase& attention,
                                         EngineCall::Placement placement) {
  EngineCall call(attention, placement);
  const absl::StatusOr<core::Report> report = engine.Run(call.problem(), call.tensors());
  EXPECT_TRUE(report.ok()) << report.status() << "\n" << ToString(attention);
  EXPECT_TRUE(call.GuardsAreIntact()) << ToString(attention);
  return call.OutputBytes();
}

core::Engine& SharedEngine() {
  static core::Engine engine(core::EngineOptions{.worker_count = 1});
  return engine;
}

}  // namespace attnd::test

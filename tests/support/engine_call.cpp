#include "tests/support/engine_call.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "tests/support/small_float.h"

namespace attnd::test {
namespace {

constexpr std::size_t kAlignmentBytes = 64;
constexpr std::size_t kGuardBytes = 64;
constexpr std::uint8_t kGuard = 0xa5;

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
  output_ = MakeBuffer(static_cast<std::size_t>(problem_.output_size_bytes), element);
  weights_ = MakeBuffer(static_cast<std::size_t>(problem_.weights_size_bytes), single);
  log_sum_exp_ = MakeBuffer(static_cast<std::size_t>(problem_.log_sum_exp_size_bytes), single);
}

core::Tensors EngineCall::tensors() {
  return {.query = query_.data(),
          .key = key_.data(),
          .value = value_.data(),
          .mask = problem_.boolean_mask ? mask_.data() : nullptr,
          .output = output_.data(),
          .weights = problem_.weights ? reinterpret_cast<float*>(weights_.data()) : nullptr,
          .log_sum_exp = problem_.log_sum_exp ? reinterpret_cast<float*>(log_sum_exp_.data()) : nullptr};
}

std::vector<std::uint8_t> EngineCall::OutputBytes() const {
  std::vector<std::uint8_t> bytes;
  for (const Buffer* buffer : {&output_, &weights_, &log_sum_exp_}) {
    bytes.insert(bytes.end(), buffer->data(), buffer->data() + buffer->size_bytes);
  }
  return bytes;
}

Answer EngineCall::ToAnswer(const core::Report& report) const {
  const auto float32 = core::ElementType::kFloat32;
  const core::ElementType type = problem_.element_type;
  return {.output = Decode(type, output_.data(), output_.size_bytes / core::ElementSizeBytes(type)),
          .weights = Decode(float32, weights_.data(), weights_.size_bytes / sizeof(float)),
          .log_sum_exp = Decode(float32, log_sum_exp_.data(), log_sum_exp_.size_bytes / sizeof(float)),
          .empty_rows = report.empty_rows};
}

bool EngineCall::GuardsAreIntact() const {
  return std::ranges::all_of(std::vector{&output_, &weights_, &log_sum_exp_}, [](const Buffer* buffer) {
    const auto begin = buffer->bytes.begin() + static_cast<std::ptrdiff_t>(buffer->begin);
    return std::all_of(buffer->bytes.begin(), begin, IsGuard) &&
           std::all_of(begin + static_cast<std::ptrdiff_t>(buffer->size_bytes), buffer->bytes.end(), IsGuard);
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

// Measures attnd's core, and what the machine can do. Reads a command of JSON a line, and answers each with a line, as
// measure.py does for others; and besides
//
//   {"do": "limits", "type": "float32", "threads": 1}  →  {"operations": …, "read_bytes": …, "write_bytes": …,
//   "exponentials": …} a second
//   {"do": "memory"}  →  {"grown_bytes": by how much a call's peak is above what the process held before}
//   {"do": "machine"}  →  {"instruction_set": …, "multiplies": [types that kernels multiply as they are]}
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/engine.h"
#include "core/kernels/softmax.h"
#include "core/machine.h"
#include "tests/bench/limits.h"
#include "tests/bench/process_memory.h"

namespace attnd::bench {
namespace {

using core::ElementType;
using core::Output;
using nlohmann::json;

constexpr std::array kTypes = {ElementType::kFloat32, ElementType::kBfloat16, ElementType::kFloat16};

// Of the summaries row.
constexpr std::int64_t kTopKeys = 16;

template <typename T>
T OrThrow(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

ElementType TypeNamed(const std::string& name) {
  for (const ElementType type : kTypes) {
    if (core::ElementTypeName(type) == name) return type;
  }
  throw std::runtime_error("unknown type " + name);
}

core::ProblemDescription Describe(const json& row, ElementType type) {
  const auto number = [&](const char* name) { return row.at(name).get<std::int64_t>(); };
  const auto tensor = [&](const char* heads, const char* rows) {
    return core::TensorDescription{type, {number("batch"), number(heads), number(rows), number("head_size")}};
  };
  core::ProblemDescription description;
  description.query = tensor("heads", "queries");
  description.key = tensor("key_value_heads", "keys");
  description.value = description.key;
  if (row.at("causal").get<bool>()) description.mask.causal.emplace();
  if (number("window_left") >= 0)
    description.mask.window = core::WindowOptions{.left = number("window_left"), .right = {}};
  const auto lengths = row.at("key_lengths").get<std::vector<std::int64_t>>();
  if (!lengths.empty()) description.mask.key_lengths = lengths;
  description.return_weights = row.at("returns") == "weights";
  if (row.at("returns") == "summaries") {
    description.summaries.top_keys = kTopKeys;
    description.summaries.entropy = true;
    description.summaries.received_sum = true;
  }
  return description;
}

std::int64_t SizeBytes(const core::TensorDescription& tensor) {
  auto size_bytes = static_cast<std::int64_t>(core::ElementSizeBytes(tensor.element_type));
  for (const std::int64_t size : tensor.shape) size_bytes *= size;
  return size_bytes;
}

// A problem with its tensors.
class Call {
 public:
  Call(core::ProblemDescription description, const std::string& inputs_file) {
    std::ifstream file(inputs_file, std::ios::binary);
    description.size_bytes.values = {
        {SizeBytes(description.query), SizeBytes(description.key), SizeBytes(description.value)}};
    problem_ = OrThrow(core::CheckProblem(description, {}));
    tensors_.query = Read(file, description.query);
    tensors_.key = Read(file, description.key);
    tensors_.value = Read(file, description.value);
    if (!file) throw std::runtime_error(inputs_file + " is too short");
    for (const Output name : core::kOutputs) {
      const std::int64_t size_bytes = problem_.answer[name].size_bytes;
      if (size_bytes == 0) continue;
      std::byte* const data = Allocate(size_bytes);
      std::memset(data, 0, static_cast<std::size_t>(size_bytes));  // or a call would be the first to touch it
      Place(name, data);
    }
  }

  // Before the calls that are measured.
  void Pack(core::Engine& engine) {
    packed_ = OrThrow(engine.Pack(problem_, tensors_));
    tensors_.packed = packed_.get();
    tensors_.key = nullptr;
    tensors_.value = nullptr;
  }

  const core::Problem& problem() const { return problem_; }
  const core::Tensors& tensors() const { return tensors_; }

 private:
  std::byte* Allocate(std::int64_t size_bytes) {
    buffers_.push_back(core::AllocateAligned(static_cast<std::size_t>(size_bytes)));
    if (buffers_.back() == nullptr) throw std::bad_alloc();
    return buffers_.back().get();
  }

  const void* Read(std::ifstream& file, const core::TensorDescription& tensor) {
    std::byte* const data = Allocate(SizeBytes(tensor));
    file.read(reinterpret_cast<char*>(data), SizeBytes(tensor));
    return data;
  }

  void Place(Output name, std::byte* data) {
    switch (name) {
      case Output::kOutput:
        tensors_.output = data;
        return;
      case Output::kWeights:
        tensors_.weights = reinterpret_cast<float*>(data);
        return;
      case Output::kTopKeys:
        tensors_.top_keys = reinterpret_cast<std::int32_t*>(data);
        return;
      case Output::kTopWeights:
        tensors_.top_weights = reinterpret_cast<float*>(data);
        return;
      case Output::kEntropy:
        tensors_.entropy = reinterpret_cast<float*>(data);
        return;
      case Output::kReceivedSum:
        tensors_.received_sum = reinterpret_cast<float*>(data);
        return;
      default:
        throw std::runtime_error("an output that no row asks for");
    }
  }

  core::Problem problem_;
  core::Tensors tensors_;
  std::vector<core::AlignedBuffer> buffers_;
  std::unique_ptr<const core::PackedKeysValues> packed_;
};

class Worker {
 public:
  json Answer(const json& command) {
    const std::string what = command.at("do");
    if (what == "prepare") return Prepare(command);
    if (what == "run") return Run(command.at("seconds"));
    if (what == "output") return WriteOutput(command.at("file"));
    if (what == "memory") return Memory();
    if (what == "limits") return Limits(TypeNamed(command.at("type")), command.at("threads"));
    if (what == "machine") return Machine();
    throw std::runtime_error("unknown command " + what);
  }

 private:
  json Prepare(const json& command) {
    // The engine's workers begin where this thread may run.
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    for (const int cpu : command.at("cpus")) CPU_SET(cpu, &cpus);
    if (sched_setaffinity(0, sizeof(cpus), &cpus) != 0) throw std::runtime_error("sched_setaffinity");
    call_.reset();
    engine_.emplace(core::EngineOptions{.worker_count = command.at("threads")});
    call_ = std::make_unique<Call>(Describe(command.at("row"), TypeNamed(command.at("type"))), command.at("inputs"));
    if (command.at("row").at("source") == "packed") call_->Pack(*engine_);
    return json::object();
  }

  json Run(double seconds) {
    std::vector<double> taken;
    const auto start = std::chrono::steady_clock::now();
    const auto since = [](auto begin) {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    do {
      const auto begin = std::chrono::steady_clock::now();
      kernel_ = OrThrow(engine_->Run(call_->problem(), call_->tensors())).kernel;
      taken.push_back(since(begin));
    } while (since(start) < seconds);
    return {{"seconds", taken}, {"kernel", kernel_}};
  }

  json Memory() {
    const std::int64_t before_bytes = StatusBytes("VmRSS:");
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins here (proc(5))
    Run(0);
    return {{"grown_bytes", StatusBytes("VmHWM:") - before_bytes}};
  }

  json WriteOutput(const std::string& file) const {
    const std::int64_t count = call_->problem().answer[Output::kOutput].size_bytes /
                               static_cast<std::int64_t>(core::ElementSizeBytes(call_->problem().element_type));
    std::vector<float> output(static_cast<std::size_t>(count));
    core::kernels::ToFloat32(call_->problem().element_type, call_->tensors().output, count, output.data());
    std::ofstream(file, std::ios::binary)
        .write(reinterpret_cast<const char*>(output.data()),
               static_cast<std::streamsize>(output.size() * sizeof(float)));
    return json::object();
  }

  // Whether a kernel multiplies elements of the type as they are; float32 otherwise.
  static bool Multiplies(ElementType type) {
    const core::Engine engine({.worker_count = 1});
    return std::ranges::any_of(engine.kernels(), [type](const core::KernelDescription& each) {
      return each.element_type == type && each.kernel.ends_with(std::string(core::ElementTypeName(type)));
    });
  }

  static json Machine() {
    json multiplies = json::array();
    for (const ElementType type : kTypes) {
      if (Multiplies(type)) multiplies.push_back(std::string(core::ElementTypeName(type)));
    }
    return {{"instruction_set", core::OnednnInstructionSet()}, {"multiplies", multiplies}};
  }

  // Of the type that the kernel for `type` multiplies.
  static json Limits(ElementType type, int threads) {
    const ElementType operand_type = Multiplies(type) ? type : ElementType::kFloat32;
    return {{"operations", ProductRate(operand_type, threads)},
            {"read_bytes", ReadRate(threads)},
            {"write_bytes", WriteRate(threads)},
            {"exponentials", ExponentialRate(threads)}};
  }

  std::optional<core::Engine> engine_;
  std::unique_ptr<Call> call_;
  std::string kernel_;
};

}  // namespace
}  // namespace attnd::bench

int main() {
  attnd::bench::Worker worker;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      std::cout << worker.Answer(nlohmann::json::parse(line)) << '\n' << std::flush;
    } catch (const std::exception& error) {
      std::cerr << "attention_worker: " << error.what() << "\n";
      return 1;
    }
  }
}

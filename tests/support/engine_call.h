// A case on its way through the engine, and what came back.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <vector>

#include "core/engine.h"
#include "tests/support/attention_case.h"
#include "tests/support/reference.h"

namespace attnd::test {

// Holds the elements of one case as the engine takes them, between guard bytes, and the outputs that it fills.
class EngineCall {
 public:
  enum class Placement {
    kAligned,                // every tensor begins at a multiple of 64 bytes
    kOneElementPastAligned,  // the least that the engine asks for
  };

  // CheckProblem must accept the case: a refusal throws, which fails the test.
  explicit EngineCall(const AttentionCase& attention, Placement placement = Placement::kAligned);

  const core::Problem& problem() const { return problem_; }
  core::Tensors tensors();

  // The elements of an output; none where the case does not ask for it.
  std::vector<double> Decoded(core::Output name) const;
  // The bytes of all outputs, one after the other.
  std::vector<std::uint8_t> OutputBytes() const;
  Answer ToAnswer(const core::Report& report) const;
  // Whether the bytes around the outputs are as they were.
  bool GuardsAreIntact() const;

 private:
  // Bytes at the wanted place, with guards before and after.
  struct Buffer {
    std::vector<std::uint8_t> bytes;
    std::size_t begin = 0;
    std::size_t size_bytes = 0;
    const std::uint8_t* data() const { return bytes.data() + begin; }
    std::uint8_t* data() { return bytes.data() + begin; }
  };
  static Buffer MakeBuffer(std::size_t size_bytes, std::size_t offset_bytes);
  static Buffer MakeBuffer(const std::vector<std::uint8_t>& content, std::size_t offset_bytes);

  // Null where the case does not ask for it.
  std::uint8_t* output_data(core::Output name);

  core::Problem problem_;
  Buffer query_;
  Buffer key_;
  Buffer value_;
  Buffer mask_;
  Buffer bias_;
  Buffer query_segment_ids_;
  Buffer key_segment_ids_;
  Buffer block_mask_;
  core::PerOutput<Buffer> outputs_;
};

// Runs the case and returns what came back. An error, or a byte written beside an output, fails the test.
Answer Attend(core::Engine& engine, const AttentionCase& attention,
              EngineCall::Placement placement = EngineCall::Placement::kAligned);

// The same, as bytes of all outputs.
std::vector<std::uint8_t> AttendForBytes(core::Engine& engine, const AttentionCase& attention,
                                         EngineCall::Placement placement = EngineCall::Placement::kAligned);

// An engine with one worker, the same for all tests of the program.
core::Engine& SharedEngine();

}  // namespace attnd::test

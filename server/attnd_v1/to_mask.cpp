#include "server/attnd_v1/to_mask.h"

#include <cstdint>
#include <vector>

#include "server/attnd_v1/tensor_description.h"

namespace attnd::server::attnd_v1 {
namespace {

core::Alignment ToAlignment(v1::CausalMask::Alignment alignment) {
  switch (alignment) {
    case v1::CausalMask::ALIGNMENT_TOP_LEFT:
      return core::Alignment::kTopLeft;
    case v1::CausalMask::ALIGNMENT_BOTTOM_RIGHT:
      return core::Alignment::kBottomRight;
    default:
      return core::Alignment::kUnspecified;
  }
}

// What a CausalMask or Positions says. A contradiction goes on to core::CheckProblem.
template <typename Message>
core::PositionOptions PositionsOf(const Message& message) {
  core::PositionOptions result;
  const auto& offsets = message.offsets();
  if (!offsets.empty()) result.offsets.emplace(offsets.begin(), offsets.end());
  if (message.alignment() != v1::CausalMask::ALIGNMENT_UNSPECIFIED) result.alignment = ToAlignment(message.alignment());
  return result;
}

core::CausalOptions ToCausal(const v1::CausalMask& causal) {
  const auto& prefix_lengths = causal.prefix_lengths();
  return {.positions = PositionsOf(causal), .prefix_lengths = {prefix_lengths.begin(), prefix_lengths.end()}};
}

core::WindowOptions ToWindow(const v1::SlidingWindow& window) {
  core::WindowOptions result;
  if (window.has_left()) result.left = window.left();
  if (window.has_right()) result.right = window.right();
  return result;
}

absl::Status ToSegments(const v1::SegmentIds& segments, core::SegmentOptions& result) {
  if (absl::Status status =
          FromProto(segments.has_query(), segments.query(), "problem.mask.segments.query", result.query);
      !status.ok()) {
    return status;
  }
  return FromProto(segments.has_key(), segments.key(), "problem.mask.segments.key", result.key);
}

absl::Status ToBlocks(const v1::BlockMask& blocks, core::BlockMaskOptions& result) {
  result.query_block_rows = blocks.query_block_rows();
  result.key_block_keys = blocks.key_block_keys();
  return FromProto(blocks.has_tensor(), blocks.tensor(), "problem.mask.blocks.tensor", result.tensor);
}

}  // namespace

absl::Status ToMask(const v1::Mask& mask, core::MaskOptions& result) {
  if (mask.has_causal()) result.causal = ToCausal(mask.causal());
  if (mask.has_key_lengths()) {
    const auto& lengths = mask.key_lengths().lengths();
    result.key_lengths.emplace(lengths.begin(), lengths.end());
  }
  if (mask.has_query_lengths()) {
    const auto& lengths = mask.query_lengths().lengths();
    result.query_lengths.emplace(lengths.begin(), lengths.end());
  }
  if (mask.has_window()) result.window = ToWindow(mask.window());
  absl::Status status;
  if (mask.has_boolean()) {
    status.Update(FromProto(mask.boolean().has_tensor(), mask.boolean().tensor(), "problem.mask.boolean.tensor",
                            result.boolean.emplace()));
  }
  if (mask.has_segments()) status.Update(ToSegments(mask.segments(), result.segments.emplace()));
  if (mask.has_blocks()) status.Update(ToBlocks(mask.blocks(), result.blocks.emplace()));
  return status;
}

core::PositionOptions ToPositions(const v1::Positions& positions) { return PositionsOf(positions); }

}  // namespace attnd::server::attnd_v1

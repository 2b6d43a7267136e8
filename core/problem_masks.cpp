#include <algorithm>

#include "core/problem_parts.h"

namespace attnd::core {
namespace {

// Positions and the sizes of windows beyond this are taken for it: no sequence is as long, and sums stay far from the
// ends of 64 bits.
constexpr std::int64_t kFarthestPosition = std::int64_t{1} << 52;

constexpr absl::string_view kPositions = "problem.positions";
constexpr absl::string_view kCausal = "problem.mask.causal";

bool IsGiven(const PositionOptions& positions) {
  return positions.alignment.has_value() || positions.offsets.has_value();
}

// `needed_by` is the field that counts from the positions; empty where none does.
absl::Status FillAlignment(absl::string_view field, Alignment alignment, absl::string_view needed_by,
                           Problem& problem) {
  problem.is_bottom_right = alignment == Alignment::kBottomRight;
  if (alignment != Alignment::kUnspecified || needed_by.empty()) return absl::OkStatus();
  for (std::int64_t entry = 0; entry < (problem.is_ragged() ? problem.batch : 1); ++entry) {
    const Sequence sequence = problem.SequenceAt(entry);
    if (sequence.rows == sequence.keys) continue;
    return Invalid(field, ".alignment: not given, ALIGNMENT_TOP_LEFT or ALIGNMENT_BOTTOM_RIGHT expected, since ",
                   sequence.rows, " query rows and ", sequence.keys, " keys differ",
                   needed_by == field ? "" : absl::StrCat(" and ", needed_by, " counts from where the rows stand"));
  }
  return absl::OkStatus();
}

absl::Status FillOffsets(absl::string_view field, const std::vector<std::int64_t>& offsets, Problem& problem) {
  if (absl::Status status = CheckCount(absl::StrCat(field, ".offsets"), "offsets", offsets.size(), problem);
      !status.ok()) {
    return status;
  }
  problem.position_offsets = offsets;
  for (std::int64_t& offset : problem.position_offsets) {
    offset = std::clamp(offset, -kFarthestPosition, kFarthestPosition);
  }
  return absl::OkStatus();
}

// The option that counts from the positions, as the interface spells it.
absl::string_view PositionsNeededBy(const ProblemDescription& d) {
  if (d.mask.causal.has_value()) return kCausal;
  if (d.mask.window.has_value()) return "problem.mask.window";
  if (d.modifiers.alibi_slopes.has_value()) return "problem.alibi";
  if (d.summaries.mean_distance) return "problem.summaries.mean_distance";
  return "";
}

absl::Status FillPositions(const ProblemDescription& d, Problem& problem) {
  const bool causal_says = d.mask.causal.has_value() && IsGiven(d.mask.causal->positions);
  if (causal_says && IsGiven(d.positions)) {
    return Invalid(kPositions, ": given beside an alignment or offsets of ", kCausal, ", one of the two expected");
  }
  const PositionOptions& positions = causal_says ? d.mask.causal->positions : d.positions;
  // What is not said would have been said where it is needed.
  const absl::string_view field =
      causal_says || (d.mask.causal.has_value() && !IsGiven(d.positions)) ? kCausal : kPositions;
  if (positions.alignment.has_value() && positions.offsets.has_value()) {
    return Invalid(field, ".alignment: given beside offsets, one of the two expected");
  }
  if (positions.offsets.has_value()) return FillOffsets(field, *positions.offsets, problem);
  return FillAlignment(field, positions.alignment.value_or(Alignment::kUnspecified), PositionsNeededBy(d), problem);
}

// One number a batch entry, each from 0 to what the entry has.
absl::Status CheckLengths(absl::string_view field, const std::vector<std::int64_t>& lengths,
                          std::int64_t Sequence::* most, absl::string_view of_what, const Problem& problem) {
  if (absl::Status status = CheckCount(field, "lengths", lengths.size(), problem); !status.ok()) return status;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::int64_t limit = problem.SequenceAt(static_cast<std::int64_t>(i)).*most;
    if (lengths[i] < 0 || lengths[i] > limit) {
      return Invalid(field, "[", i, "]: ", lengths[i], " found, 0 to ", limit, " (the number of ", of_what,
                     ") expected");
    }
  }
  return absl::OkStatus();
}

absl::Status FillLengths(const MaskOptions& mask, Problem& problem) {
  if (mask.causal.has_value()) {
    problem.is_causal = true;
    const std::vector<std::int64_t>& prefix_lengths = mask.causal->prefix_lengths;
    if (!prefix_lengths.empty()) {
      if (absl::Status status =
              CheckLengths("problem.mask.causal.prefix_lengths", prefix_lengths, &Sequence::keys, "keys", problem);
          !status.ok()) {
        return status;
      }
      problem.prefix_lengths = prefix_lengths;
    }
  }
  if (mask.key_lengths.has_value()) {
    if (absl::Status status =
            CheckLengths("problem.mask.key_lengths.lengths", *mask.key_lengths, &Sequence::keys, "keys", problem);
        !status.ok()) {
      return status;
    }
    problem.key_lengths = *mask.key_lengths;
  }
  if (mask.query_lengths.has_value()) {
    if (absl::Status status = CheckLengths("problem.mask.query_lengths.lengths", *mask.query_lengths, &Sequence::rows,
                                           "query rows", problem);
        !status.ok()) {
      return status;
    }
    problem.query_lengths = *mask.query_lengths;
  }
  return absl::OkStatus();
}

absl::Status CheckWindowSide(absl::string_view field, std::optional<std::int64_t> found, std::int64_t& side) {
  if (!found.has_value()) return absl::OkStatus();
  if (*found < 0) return Invalid(field, ": ", *found, " found, at least 0 expected");
  side = std::min(*found, kFarthestPosition * 2);
  return absl::OkStatus();
}

absl::Status FillWindow(const WindowOptions& window, Problem& problem) {
  if (absl::Status status = CheckWindowSide("problem.mask.window.left", window.left, problem.window_left);
      !status.ok()) {
    return status;
  }
  return CheckWindowSide("problem.mask.window.right", window.right, problem.window_right);
}

absl::Status CheckBool(const TensorDescription& tensor, absl::string_view field) {
  if (tensor.element_type == ElementType::kBool) return absl::OkStatus();
  return Invalid(field, ".element_type: ", ElementTypeName(tensor.element_type), " found, bool expected");
}

absl::Status FillBoolean(const ProblemDescription& d, Problem& problem) {
  constexpr absl::string_view kField = "problem.mask.boolean.tensor";
  const std::int64_t size_bytes = d.size_bytes[Input::kMask];
  if (!d.mask.boolean.has_value()) return CheckNoData("mask_data", size_bytes, "problem.mask.boolean");
  if (absl::Status status = CheckBool(*d.mask.boolean, kField); !status.ok()) return status;
  if (absl::Status status = CheckSize(*d.mask.boolean, kField, "mask_data", size_bytes); !status.ok()) return status;
  const absl::StatusOr<BroadcastStrides> strides =
      Broadcast(*d.mask.boolean, kField, MaskShape(d, problem, problem.query_rows, problem.keys), "the weights", true);
  if (!strides.ok()) return strides.status();
  problem.boolean_mask = *strides;
  return absl::OkStatus();
}

absl::Status CheckSegmentIds(const TensorDescription& ids, absl::string_view field, const Shape& wanted,
                             absl::string_view data_field, std::int64_t size_bytes) {
  if (ids.element_type != ElementType::kInt32) {
    return Invalid(field, ".element_type: ", ElementTypeName(ids.element_type), " found, int32 expected");
  }
  if (ids.shape != wanted) {
    return Invalid(field, ".shape: ", ToString(ids.shape), " found, ", ToString(wanted), " expected");
  }
  return CheckSize(ids, field, data_field, size_bytes);
}

absl::Status FillSegments(const ProblemDescription& d, Problem& problem) {
  const std::int64_t query_size_bytes = d.size_bytes[Input::kQuerySegmentIds];
  const std::int64_t key_size_bytes = d.size_bytes[Input::kKeySegmentIds];
  if (!d.mask.segments.has_value()) {
    if (absl::Status status = CheckNoData("query_segment_ids_data", query_size_bytes, "problem.mask.segments");
        !status.ok()) {
      return status;
    }
    return CheckNoData("key_segment_ids_data", key_size_bytes, "problem.mask.segments");
  }
  Shape query = {problem.batch, problem.query_rows};
  Shape key = {problem.batch, problem.keys};
  if (problem.is_ragged()) {
    query = {problem.query_offsets.back()};
    key = {problem.key_offsets.back()};
  } else if (d.query.shape.size() == 2) {
    query = {problem.query_rows};
    key = {problem.keys};
  }
  problem.has_segments = true;
  if (absl::Status status = CheckSegmentIds(d.mask.segments->query, "problem.mask.segments.query", query,
                                            "query_segment_ids_data", query_size_bytes);
      !status.ok()) {
    return status;
  }
  return CheckSegmentIds(d.mask.segments->key, "problem.mask.segments.key", key, "key_segment_ids_data",
                         key_size_bytes);
}

absl::Status FillBlocks(const ProblemDescription& d, Problem& problem) {
  constexpr absl::string_view kField = "problem.mask.blocks.tensor";
  const std::int64_t size_bytes = d.size_bytes[Input::kBlockMask];
  if (!d.mask.blocks.has_value()) return CheckNoData("block_mask_data", size_bytes, "problem.mask.blocks");
  const BlockMaskOptions& blocks = *d.mask.blocks;
  if (blocks.query_block_rows < 1) {
    return Invalid("problem.mask.blocks.query_block_rows: ", blocks.query_block_rows, " found, at least 1 expected");
  }
  if (blocks.key_block_keys < 1) {
    return Invalid("problem.mask.blocks.key_block_keys: ", blocks.key_block_keys, " found, at least 1 expected");
  }
  if (absl::Status status = CheckBool(blocks.tensor, kField); !status.ok()) return status;
  if (absl::Status status = CheckSize(blocks.tensor, kField, "block_mask_data", size_bytes); !status.ok()) {
    return status;
  }
  const std::int64_t block_rows = (problem.query_rows - 1) / blocks.query_block_rows + 1;
  const std::int64_t block_columns = (problem.keys - 1) / blocks.key_block_keys + 1;
  const absl::StatusOr<BroadcastStrides> strides =
      Broadcast(blocks.tensor, kField, MaskShape(d, problem, block_rows, block_columns), "the blocks", false);
  if (!strides.ok()) return strides.status();
  problem.block_mask = {
      .query_block_rows = blocks.query_block_rows, .key_block_keys = blocks.key_block_keys, .strides = *strides};
  return absl::OkStatus();
}

}  // namespace

absl::Status FillMasks(const ProblemDescription& description, Problem& problem) {
  if (absl::Status status = FillPositions(description, problem); !status.ok()) return status;
  if (absl::Status status = FillLengths(description.mask, problem); !status.ok()) return status;
  if (description.mask.window.has_value()) {
    if (absl::Status status = FillWindow(*description.mask.window, problem); !status.ok()) return status;
  }
  if (absl::Status status = FillBoolean(description, problem); !status.ok()) return status;
  if (absl::Status status = FillSegments(description, problem); !status.ok()) return status;
  return FillBlocks(description, problem);
}

}  // namespace attnd::core

#include "server/attnd_v1/to_summaries.h"

#include "server/attnd_v1/element_type.h"

namespace attnd::server::attnd_v1 {
namespace {

core::HeadReduction ToHeadReduction(v1::HeadReduction reduction) {
  switch (reduction) {
    case v1::HEAD_REDUCTION_MEAN:
      return core::HeadReduction::kMean;
    case v1::HEAD_REDUCTION_SUM:
      return core::HeadReduction::kSum;
    default:
      return core::HeadReduction::kNone;
  }
}

core::MatrixStage ToStage(v1::MatrixStage stage) {
  switch (stage) {
    case v1::MATRIX_STAGE_SCALED:
      return core::MatrixStage::kScaled;
    case v1::MATRIX_STAGE_SOFT_CAPPED:
      return core::MatrixStage::kSoftCapped;
    case v1::MATRIX_STAGE_MASKED:
      return core::MatrixStage::kMasked;
    default:
      return core::MatrixStage::kWeights;
  }
}

core::PooledMap ToPooledMap(const v1::PooledMap& map) {
  const bool is_maximum = map.pooling() == v1::PooledMap::POOLING_MAXIMUM;
  return {.rows = map.rows(),
          .columns = map.columns(),
          .pooling = is_maximum ? core::Pooling::kMaximum : core::Pooling::kMean};
}

}  // namespace

core::SummaryOptions ToSummaries(const v1::Summaries& summaries) {
  core::SummaryOptions result{
      .batch_entries = {summaries.batch_entries().begin(), summaries.batch_entries().end()},
      .heads = {summaries.heads().begin(), summaries.heads().end()},
      .query_rows = {summaries.query_rows().begin(), summaries.query_rows().end()},
      .head_reduction = ToHeadReduction(summaries.head_reduction()),
      .top_keys = summaries.top_keys(),
      .entropy = summaries.entropy(),
      .largest_weight = summaries.largest_weight(),
      .first_keys = summaries.first_keys(),
      .mean_distance = summaries.mean_distance(),
      .received_sum = summaries.received_sum(),
      .received_maximum = summaries.received_maximum(),
  };
  if (summaries.has_matrix()) {
    result.matrix = {.stage = ToStage(summaries.matrix().stage()),
                     .element_type = FromProto(summaries.matrix().element_type())};
  }
  if (summaries.has_pooled_map()) result.pooled_map = ToPooledMap(summaries.pooled_map());
  return result;
}

}  // namespace attnd::server::attnd_v1

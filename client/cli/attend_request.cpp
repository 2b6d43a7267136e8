#include "client/cli/attend_request.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <cstdint>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "client/cli/numbers.h"

namespace attnd::cli {
namespace {

using Text = std::optional<std::string>;
using Integers = std::vector<std::int64_t>;

// Sets a request's fields from options, one after the other until one is wrong: what comes after that does nothing.
class Preparation {
 public:
  explicit Preparation(Inputs& inputs) : inputs_(inputs) {}

  const absl::Status& status() const { return status_; }

  void SetTensor(const std::string& name, TensorView& view) {
    if (!status_.ok()) return;
    const auto array = inputs_.Get(name);
    if (!array.ok()) return Fail(array.status());
    auto found = ToTensorView(*array, name);
    if (!found.ok()) return Fail(found.status());
    view = *std::move(found);
  }

  void SetMask(const std::string& option, const Text& name, std::optional<TensorView>& mask) {
    if (!name || !status_.ok()) return;
    SetTensor(*name, mask.emplace());
    if (status_.ok() && mask->element_type != ElementType::kBool) {
      Fail(absl::InvalidArgumentError(
          absl::StrCat(option, ": ", *name, " is ", ElementTypeName(mask->element_type), ", expected bool or uint8")));
    }
  }

  void SetBias(const Text& name, std::optional<TensorView>& bias) {
    if (name && status_.ok()) SetTensor(*name, bias.emplace());
  }

  // Numbers in 64 bits are made 32 bits wide, in memory that `converted` holds.
  void SetIds(const std::string& option, const std::string& name, std::list<Tensor>& converted, TensorView& ids) {
    if (!status_.ok()) return;
    const auto array = inputs_.Get(name);
    if (!array.ok()) return Fail(array.status());
    const auto numbers = ToIntegers(*array, absl::StrCat(option, ": ", name));
    if (!numbers.ok()) return Fail(numbers.status());
    auto tensor = Tensor::Create(ElementType::kInt32, array->shape, name);
    if (!tensor.ok()) return Fail(tensor.status());
    auto* element = reinterpret_cast<std::int32_t*>(tensor->data());
    for (const std::int64_t number : *numbers) {
      *element++ = static_cast<std::int32_t>(number);
      if (number < std::numeric_limits<std::int32_t>::min() || number > std::numeric_limits<std::int32_t>::max()) {
        return Fail(absl::InvalidArgumentError(
            absl::StrCat(option, ": ", name, " holds ", number, ", expected numbers of 32 bits")));
      }
    }
    ids = tensor->view();
    converted.push_back(*std::move(tensor));
  }

  // "15,9,12", or the name of a tensor.
  void SetIntegers(const std::string& option, const Text& text, const std::string& what,
                   std::optional<Integers>& numbers) {
    if (!text || !status_.ok()) return;
    auto found = IsListOfIntegers(*text)
                     ? ParseIntegers(option, *text, absl::StrCat("a list of ", what, " like 15,9,12 or a tensor"))
                     : IntegersOf(option, *text);
    if (!found.ok()) return Fail(found.status());
    numbers = *std::move(found);
  }

  void SetRanges(const std::string& option, const Text& text, Integers& numbers) {
    if (!text || !status_.ok()) return;
    auto found = ParseRanges(option, *text);
    if (!found.ok()) return Fail(found.status());
    numbers = *std::move(found);
  }

  // "0.5,0.25", or the name of a tensor.
  void SetNumbers(const std::string& option, const Text& text, std::optional<std::vector<float>>& numbers) {
    if (!text || !status_.ok()) return;
    auto found = IsListOfNumbers(*text) ? ParseNumbers(option, *text) : NumbersOf(option, *text);
    if (!found.ok()) return Fail(found.status());
    numbers = *std::move(found);
  }

  // Where the rows stand: a word, or a list of offsets.
  void SetPlaces(const std::string& option, const std::string& text, CausalAlignment& alignment,
                 std::optional<Integers>& offsets) {
    if (!status_.ok()) return;
    static const std::map<std::string, CausalAlignment> words = {{kSameLength, CausalAlignment::kUnspecified},
                                                                 {kTopLeft, CausalAlignment::kTopLeft},
                                                                 {kBottomRight, CausalAlignment::kBottomRight}};
    if (const auto word = words.find(text); word != words.end()) {
      alignment = word->second;
      return;
    }
    auto found =
        ParseIntegers(option, text, absl::StrCat(kTopLeft, ", ", kBottomRight, " or a list of offsets like 3,-4"));
    if (!found.ok()) return Fail(found.status());
    offsets = *std::move(found);
  }

  void SetPooledMap(const Text& text, const std::string& pooling, std::optional<PooledMap>& map) {
    if (!text || !status_.ok()) return;
    const auto grid = ParseGrid("--pooled-map", *text);
    if (!grid.ok()) return Fail(grid.status());
    map = PooledMap{.rows = grid->first,
                    .columns = grid->second,
                    .pooling = pooling == "maximum" ? Pooling::kMaximum : Pooling::kMean};
  }

 private:
  void Fail(const absl::Status& status) { status_ = status; }

  absl::StatusOr<Integers> IntegersOf(const std::string& option, const std::string& name) {
    const auto array = inputs_.Get(name);
    if (!array.ok()) return InOption(option, array.status());
    return ToIntegers(*array, absl::StrCat(option, ": ", name));
  }

  absl::StatusOr<std::vector<float>> NumbersOf(const std::string& option, const std::string& name) {
    const auto array = inputs_.Get(name);
    if (!array.ok()) return InOption(option, array.status());
    std::vector<float> numbers;
    for (std::int64_t i = 0; i < array->element_count(); ++i) {
      numbers.push_back(static_cast<float>(ElementAsFloat64(*array, i)));
    }
    return numbers;
  }

  static absl::Status InOption(const std::string& option, const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(option, ": ", status.message()));
  }

  Inputs& inputs_;
  absl::Status status_;
};

void SetMasks(const ProblemOptions& options, Preparation& preparation, PreparedRequest& prepared) {
  AttendRequest& request = prepared.request;
  MaskOptions& mask = request.mask;
  if (options.causal) preparation.SetPlaces("--causal", *options.causal, mask.causal.emplace(), mask.causal_offsets);
  preparation.SetIntegers("--prefix-lengths", options.prefix_lengths, "lengths", mask.causal_prefix_lengths);
  if (options.positions) {
    Positions& positions = request.positions.emplace();
    preparation.SetPlaces("--positions", *options.positions, positions.alignment, positions.offsets);
  }
  if (options.window_left || options.window_right) {
    mask.window = SlidingWindow{.left = options.window_left, .right = options.window_right};
  }
  preparation.SetIntegers("--key-lengths", options.key_lengths, "lengths", mask.key_lengths);
  preparation.SetIntegers("--query-lengths", options.query_lengths, "lengths", mask.query_lengths);
  if (options.query_segment_ids && options.key_segment_ids) {
    SegmentIds& segments = mask.segments.emplace();
    preparation.SetIds("--query-segment-ids", *options.query_segment_ids, prepared.converted, segments.query);
    preparation.SetIds("--key-segment-ids", *options.key_segment_ids, prepared.converted, segments.key);
  }
  preparation.SetMask("--mask", options.mask, mask.boolean);
  if (options.block_mask) {
    std::optional<TensorView> blocks;
    preparation.SetMask("--block-mask", options.block_mask, blocks);
    mask.blocks = BlockMask{.query_block_rows = options.block_rows,
                            .key_block_keys = options.block_keys,
                            .tensor = blocks.value_or(TensorView{})};
  }
}

void SetModifiers(const ProblemOptions& options, Preparation& preparation, AttendRequest& request) {
  preparation.SetBias(options.bias, request.bias);
  if (options.bias_place == "before-soft-cap") request.bias_place = BiasPlace::kBeforeSoftCap;
  preparation.SetNumbers("--alibi-slopes", options.alibi_slopes, request.alibi_slopes);
  request.soft_cap = options.soft_cap;
  preparation.SetNumbers("--sinks", options.sinks, request.sinks);
}

MatrixRows MatrixOf(const std::string& stage, const Text& type) {
  static const std::map<std::string, MatrixStage> stages = {{"scaled", MatrixStage::kScaled},
                                                            {"soft-capped", MatrixStage::kSoftCapped},
                                                            {"masked", MatrixStage::kMasked},
                                                            {"weights", MatrixStage::kWeights}};
  static const std::map<std::string, ElementType> types = {
      {"float32", ElementType::kFloat32}, {"bfloat16", ElementType::kBfloat16}, {"float16", ElementType::kFloat16}};
  MatrixRows matrix{.stage = stages.at(stage)};
  if (type) matrix.element_type = types.at(*type);
  return matrix;
}

void SetSummaries(const ProblemOptions& options, Preparation& preparation, Summaries& summaries) {
  preparation.SetRanges("--batch-entries", options.batch_entries, summaries.batch_entries);
  preparation.SetRanges("--heads", options.heads, summaries.heads);
  preparation.SetRanges("--query-rows", options.query_rows, summaries.query_rows);
  if (options.head_reduction == "mean") summaries.head_reduction = HeadReduction::kMean;
  if (options.head_reduction == "sum") summaries.head_reduction = HeadReduction::kSum;
  if (options.matrix) summaries.matrix = MatrixOf(*options.matrix, options.matrix_type);
  summaries.top_keys = options.top_keys;
  summaries.entropy = options.entropy;
  summaries.largest_weight = options.largest_weight;
  summaries.first_keys = options.first_keys;
  summaries.mean_distance = options.mean_distance;
  summaries.received_sum = options.received_sum;
  summaries.received_maximum = options.received_maximum;
  preparation.SetPooledMap(options.pooled_map, options.pooling, summaries.pooled_map);
}

}  // namespace

absl::StatusOr<PreparedRequest> PrepareRequest(Inputs& inputs, const ProblemOptions& options) {
  PreparedRequest prepared;
  AttendRequest& request = prepared.request;
  Preparation preparation(inputs);
  preparation.SetTensor(options.query, request.query);
  preparation.SetTensor(options.key, request.key);
  preparation.SetTensor(options.value, request.value);
  if (options.layout == "bshd") request.layout = Layout::kBshd;
  request.scale = options.scale;
  if (options.empty_row == "mean-of-all-values") request.empty_row = EmptyRow::kMeanOfAllValues;
  if (options.query_offsets && options.key_offsets) {
    std::optional<Integers> query_offsets;
    std::optional<Integers> key_offsets;
    preparation.SetIntegers("--query-offsets", options.query_offsets, "offsets", query_offsets);
    preparation.SetIntegers("--key-offsets", options.key_offsets, "offsets", key_offsets);
    request.ragged = RaggedBatch{.query_offsets = query_offsets.value_or(Integers{}),
                                 .key_offsets = key_offsets.value_or(Integers{})};
  }
  SetMasks(options, preparation, prepared);
  SetModifiers(options, preparation, request);
  request.return_weights = options.weights;
  request.return_log_sum_exp = options.log_sum_exp;
  SetSummaries(options, preparation, request.summaries);
  if (!preparation.status().ok()) return preparation.status();
  return prepared;
}

}  // namespace attnd::cli

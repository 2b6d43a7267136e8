// The tensors of a problem: which there are, and the memory that they are computed from and into.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace attnd::core {

class PackedKeysValues;

// What a problem may come with. Query, key and value always do.
enum class Input : std::uint8_t {
  kQuery,
  kKey,
  kValue,
  kMask,
  kBias,
  kQuerySegmentIds,
  kKeySegmentIds,
  kBlockMask,
};
inline constexpr std::size_t kInputCount = 8;

// What an answer may hold. The output is always in it.
enum class Output : std::uint8_t {
  kOutput,
  kWeights,
  kLogSumExp,
  kMatrix,
  kTopKeys,
  kTopWeights,
  kEntropy,
  kLargestWeight,
  kFirstKeysWeight,
  kMeanDistance,
  kReceivedSum,
  kReceivedMaximum,
  kPooledMap,
};
inline constexpr std::size_t kOutputCount = 13;

// All names, in their order.
template <typename Name, std::size_t Count>
constexpr std::array<Name, Count> AllNames() {
  std::array<Name, Count> names{};
  for (std::size_t i = 0; i < Count; ++i) names[i] = static_cast<Name>(i);
  return names;
}
inline constexpr std::array kInputs = AllNames<Input, kInputCount>();
inline constexpr std::array kOutputs = AllNames<Output, kOutputCount>();

// A T for each tensor that Name (Input or Output) names.
template <typename Name, typename T, std::size_t Count>
class PerTensor {
 public:
  constexpr T& operator[](Name name) { return values[static_cast<std::size_t>(name)]; }
  constexpr const T& operator[](Name name) const { return values[static_cast<std::size_t>(name)]; }

  static constexpr std::size_t size() { return Count; }
  // In the order of the names.
  auto begin() { return values.begin(); }
  auto end() { return values.end(); }
  auto begin() const { return values.begin(); }
  auto end() const { return values.end(); }

  // For initialisation alone: the first ones in the order of the names, the rest value-initialised.
  std::array<T, Count> values = {};
};
template <typename T>
using PerInput = PerTensor<Input, T, kInputCount>;
template <typename T>
using PerOutput = PerTensor<Output, T, kOutputCount>;

// Where a problem's tensors lie. All are borrowed until the call is done, dense, and aligned to their elements; null
// where the problem has no such tensor.
struct Tensors {
  const void* query = nullptr;
  const void* key = nullptr;
  const void* value = nullptr;
  // Instead of key and value, which are not read then: the same, packed by Engine::Pack. May be used by several calls
  // at a time.
  const PackedKeysValues* packed = nullptr;
  const std::uint8_t* mask = nullptr;
  const void* bias = nullptr;  // of the bias' own element type
  const std::int32_t* query_segment_ids = nullptr;
  const std::int32_t* key_segment_ids = nullptr;
  const std::uint8_t* block_mask = nullptr;

  void* output = nullptr;  // of the query's element type
  float* weights = nullptr;
  float* log_sum_exp = nullptr;  // natural logarithm
  void* matrix = nullptr;        // of the element type that was asked for
  std::int32_t* top_keys = nullptr;
  float* top_weights = nullptr;
  float* entropy = nullptr;
  float* largest_weight = nullptr;
  float* first_keys_weight = nullptr;
  float* mean_distance = nullptr;
  float* received_sum = nullptr;
  float* received_maximum = nullptr;
  float* pooled_map = nullptr;
};

}  // namespace attnd::core

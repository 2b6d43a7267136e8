// What the machine can do: the rate of one large matrix product on one thread, by oneDNN's matmul primitive, whose
// second matrix has been packed before.
#pragma once

#include <cstdint>
#include <memory>

#include "core/tensor.h"

namespace attnd::bench {

// C = A·B of square matrices, with C in float32.
class Gemm {
 public:
  // Large enough that the first and last pieces do not count: 2·1536³ operations on 3·1536² elements.
  static constexpr std::int64_t kSize = 1536;
  static constexpr double kFloatingPointOperations = 2.0 * kSize * kSize * kSize;

  // float32 or a type that the machine multiplies; throws dnnl::error for others.
  explicit Gemm(core::ElementType type);
  ~Gemm();

  void Run();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attnd::bench

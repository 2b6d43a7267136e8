// The products by oneDNN's matmul primitive, for machines where it has no micro-kernels.
#include <oneapi/dnnl/dnnl.hpp>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <array>
#include <unordered_map>
#include <vector>

#include "core/kernels/kernel_list.h"
#include "core/kernels/lru_cache.h"
#include "core/kernels/thread_scratchpad.h"
#include "core/kernels/transposing_packer.h"

namespace attnd::core::kernels {
namespace {

using dnnl::memory;

// One class only: a general matrix product may take another way, with other bits, for another number of rows.
constexpr std::array<std::int64_t, 1> kRowClasses = {16};

constexpr std::size_t kKeptProducts = 256;

const dnnl::engine& CpuEngine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// A primitive must run in the calling worker alone, and oneDNN may be built with OpenMP.
void HoldToOneThread() {
#ifdef _OPENMP
  thread_local bool held = false;
  if (!held) omp_set_num_threads(1);
  held = true;
#endif
}

dnnl::stream& ThreadStream() {
  thread_local dnnl::stream stream(CpuEngine());
  return stream;
}

// oneDNN adds up long inner dimensions in parts, by sizes that depend on how long they are. A row's bits must not, so
// they are cut here: where key tiles may be cut, so that every part is a whole one or begins with hidden keys.
constexpr std::int64_t kInnerAtOnce = kPanelColumns;

dnnl::matmul::primitive_desc Describe(const ProductShape& s) {
  const auto matrix = [](std::int64_t rows, std::int64_t columns, std::int64_t stride) {
    return memory::desc({rows, columns}, memory::data_type::f32, memory::dims{stride, 1});
  };
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (s.accumulate) {
    dnnl::post_ops post_ops;
    post_ops.append_sum(1.0F);
    attributes.set_post_ops(post_ops);
  }
  return {CpuEngine(), matrix(s.rows, s.inner, s.a_stride), matrix(s.inner, s.columns, s.panel_columns),
          matrix(s.rows, s.columns, s.c_stride), attributes};
}

class MatmulProduct final : public Product {
 public:
  explicit MatmulProduct(const ProductShape& shape) : shape_(shape) {
    ProductShape part = shape;
    for (std::int64_t begin = 0; begin < shape.inner; begin += kInnerAtOnce) {
      part.inner = std::min(kInnerAtOnce, shape.inner - begin);
      part.accumulate = shape.accumulate || begin > 0;
      parts_.emplace_back(Describe(part));
    }
  }

  void Run(const void* a, const void* b, std::int64_t panel_size_bytes, std::int64_t panels, float* c) const override {
    HoldToOneThread();
    const auto at = [](const memory::desc& description, const void* data) {
      return memory(description, CpuEngine(), const_cast<void*>(data));
    };
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      const auto* a_part = static_cast<const float*>(a);
      const auto* b_part = reinterpret_cast<const float*>(static_cast<const std::byte*>(b) + panel * panel_size_bytes);
      for (const Part& part : parts_) {
        const memory::desc scratchpad = part.description.scratchpad_desc();
        const std::unordered_map<int, memory> arguments = {
            {DNNL_ARG_SRC, at(part.description.src_desc(), a_part)},
            {DNNL_ARG_WEIGHTS, at(part.description.weights_desc(), b_part)},
            {DNNL_ARG_DST, at(part.description.dst_desc(), c + panel * shape_.columns)},
            {DNNL_ARG_SCRATCHPAD, at(scratchpad, ThreadScratchpad(scratchpad.get_size()))}};
        part.matmul.execute(ThreadStream(), arguments);
        a_part += kInnerAtOnce;
        b_part += kInnerAtOnce * shape_.panel_columns;
      }
    }
    ThreadStream().wait();
  }

 private:
  struct Part {
    explicit Part(const dnnl::matmul::primitive_desc& part) : description(part), matmul(part) {}
    dnnl::matmul::primitive_desc description;
    dnnl::matmul matmul;
  };

  const ProductShape shape_;
  std::vector<Part> parts_;  // of kInnerAtOnce elements of the inner dimension each
};

class MatmulProducts final : public Products {
 public:
  std::string name() const override { return "matmul-float32"; }
  ElementType operand_type() const override { return ElementType::kFloat32; }
  std::span<const std::int64_t> row_classes() const override { return kRowClasses; }
  std::int64_t size_step() const override { return kPaddedElements; }

  std::shared_ptr<const Product> MakeProduct(const ProductShape& shape) override {
    return products_.GetOrMake(shape, [&] { return std::make_shared<MatmulProduct>(shape); });
  }
  std::shared_ptr<const Packer> MakeKeyPacker(std::int64_t inner, std::int64_t columns) override {
    return std::make_shared<TransposingPacker>(inner, columns);
  }
  ValueLayout value_layout() const override { return ValueLayout::kRows; }

 private:
  LruCache<ProductShape, Product> products_{kKeptProducts};
};

}  // namespace

std::shared_ptr<Products> MakeMatmulProducts() { return std::make_shared<MatmulProducts>(); }

}  // namespace attnd::core::kernels

#include "tests/bench/gemm.h"

#include <oneapi/dnnl/dnnl.hpp>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <unordered_map>
#include <vector>

namespace attnd::bench {
namespace {

using dnnl::memory;

memory::data_type ToOnednn(core::ElementType type) {
  switch (type) {
    case core::ElementType::kBfloat16:
      return memory::data_type::bf16;
    case core::ElementType::kFloat16:
      return memory::data_type::f16;
    default:
      return memory::data_type::f32;
  }
}

}  // namespace

class Gemm::Impl {
 public:
  explicit Impl(memory::data_type type)
      : a_(Matrix(type)),
        c_(Matrix(memory::data_type::f32)),
        description_(engine_, a_.get_desc(), memory::desc({kSize, kSize}, type, memory::format_tag::any),
                     c_.get_desc()),
        b_(description_.weights_desc(), engine_),
        matmul_(description_) {
#ifdef _OPENMP
    omp_set_num_threads(1);  // where oneDNN is built with OpenMP
#endif
    Fill(a_);
    Fill(b_);
  }

  void Run() {
    matmul_.execute(stream_, {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, c_}});
    stream_.wait();
  }

 private:
  memory Matrix(memory::data_type type) {
    return {memory::desc({kSize, kSize}, type, memory::format_tag::ab), engine_};
  }

  // Numbers around 0; a product takes as long whatever they are, unless they are denormal.
  void Fill(memory& matrix) {
    memory numbers = Matrix(memory::data_type::f32);
    auto* element = static_cast<float*>(numbers.get_data_handle());
    for (std::int64_t i = 0; i < kSize * kSize; ++i) element[i] = static_cast<float>(i % 17) / 8 - 1;
    dnnl::reorder(numbers, matrix).execute(stream_, numbers, matrix);
    stream_.wait();
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  memory a_;
  memory c_;
  dnnl::matmul::primitive_desc description_;
  memory b_;  // packed as oneDNN likes it, which is not timed
  dnnl::matmul matmul_;
};

Gemm::Gemm(core::ElementType type) : impl_(std::make_unique<Impl>(ToOnednn(type))) {}

Gemm::~Gemm() = default;

void Gemm::Run() { impl_->Run(); }

}  // namespace attnd::bench

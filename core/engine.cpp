#include "core/engine.h"

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/call.h"
#include "core/execute.h"
#include "core/kernels/kernel_list.h"
#include "core/machine.h"
#include "core/pack_work.h"
#include "core/packed_kv.h"
#include "core/plan.h"
#include "core/summary_pass.h"
#include "core/worker_pool.h"

namespace attnd::core {
namespace {

constexpr std::array<ElementType, 3> kElementTypes = {ElementType::kFloat32, ElementType::kBfloat16,
                                                      ElementType::kFloat16};

// How long a worker without work looks out for more: about what it takes to wake one that sleeps. Where there is but
// one CPU, it would look in the way of who brings more.
absl::Duration Lookout() { return AvailableCpus() > 1 ? absl::Microseconds(20) : absl::ZeroDuration(); }

// The most keys that a batch entry has whose groups are not read once: what is read once is packed in the workers'
// scratch.
std::int64_t MostPackedKeys(const Problem& problem, const Plan& plan) {
  std::int64_t most = 0;
  const std::int64_t entries = problem.is_ragged() ? problem.batch : 1;  // the others are like the first
  for (std::int64_t entry = 0; entry < entries; ++entry) {
    const Sequence sequence = problem.SequenceAt(entry);
    if (!plan.IsReadOnce(sequence)) most = std::max(most, sequence.keys);
  }
  return most;
}

}  // namespace

class Engine::Impl {
 public:
  explicit Impl(const EngineOptions& options)
      : observer_(options.observer),
        pool_(options.worker_count > 0 ? options.worker_count : AvailableCpus(), Lookout()) {}

  const std::shared_ptr<kernels::Products>& ProductsFor(ElementType type) const {
    return products_[static_cast<std::size_t>(type)];
  }

  std::string FingerprintFor(ElementType type) const {
    return absl::StrCat(ProductsFor(type)->name(), ", ", machine_fingerprint_);
  }

  void Start(const Problem& problem, const Tensors& tensors, CallOptions options, Done done) {
    pool_.Add(MakeCall(problem, tensors, std::move(options), std::move(done)));
  }

  absl::StatusOr<Report> Run(const Problem& problem, const Tensors& tensors, CallOptions options) {
    absl::StatusOr<Report> result;
    pool_.Run(MakeCall(problem, tensors, std::move(options),
                       [&result](absl::StatusOr<Report> report) { result = std::move(report); }));
    return result;
  }

  absl::StatusOr<std::unique_ptr<const PackedKeysValues>> Pack(const Problem& problem, const Tensors& tensors) {
    Problem all_keys = problem;
    all_keys.key_lengths.clear();  // other problems' lengths may be longer
    Execution execution(all_keys, tensors, ProductsFor(problem.element_type));
    if (absl::Status status = execution.Prepare(nullptr); !status.ok()) return status;
    std::unique_ptr<PackedKeysValues> packed = PackedKeysValues::Make(all_keys, execution.plan());
    if (packed == nullptr) return absl::ResourceExhaustedError("no memory for packed keys and values");
    pool_.Run(std::make_unique<PackWork>(execution, *packed));
    return packed;
  }

  int worker_count() const { return pool_.worker_count(); }

 private:
  std::unique_ptr<Call> MakeCall(const Problem& problem, const Tensors& tensors, CallOptions options, Done done) {
    return std::make_unique<Call>(problem, tensors, std::move(options), std::move(done),
                                  ProductsFor(problem.element_type), FingerprintFor(problem.element_type), observer_);
  }

  static std::array<std::shared_ptr<kernels::Products>, kElementTypes.size()> ChooseAll() {
    std::array<std::shared_ptr<kernels::Products>, kElementTypes.size()> all;
    for (const ElementType type : kElementTypes) all[static_cast<std::size_t>(type)] = kernels::ChooseProducts(type);
    return all;
  }

  // Constant after construction; indexed by element type.
  const std::array<std::shared_ptr<kernels::Products>, kElementTypes.size()> products_ = ChooseAll();
  const std::string machine_fingerprint_ =
      absl::StrCat("tiles of ", kQueryTileRows, " x ", kKeyTileKeys, ", oneDNN ", OnednnVersion(), " ",
                   OnednnInstructionSet(), ", ", VectorInstructionSet());
  Observer* const observer_;
  WorkerPool pool_;  // last: its end waits for all calls
};

Engine::Engine(const EngineOptions& options) : impl_(std::make_unique<Impl>(options)) {}

Engine::~Engine() = default;

void Engine::Start(const Problem& problem, const Tensors& tensors, CallOptions options, Done done) {
  impl_->Start(problem, tensors, std::move(options), std::move(done));
}

absl::StatusOr<Report> Engine::Run(const Problem& problem, const Tensors& tensors, CallOptions options) {
  return impl_->Run(problem, tensors, std::move(options));
}

absl::StatusOr<std::unique_ptr<const PackedKeysValues>> Engine::Pack(const Problem& problem, const Tensors& tensors) {
  return impl_->Pack(problem, tensors);
}

std::int64_t Engine::WorkingSizeBytes(const Problem& problem) const {
  const kernels::Products& products = *impl_->ProductsFor(problem.element_type);
  const Plan plan = MakePlan(problem, products.operand_type(), products.size_step());
  // A call packs another group only while every group it has is being worked on.
  const std::int64_t groups = std::min<std::int64_t>(plan.groups, impl_->worker_count());
  const std::int64_t keys = MostPackedKeys(problem, plan);
  const std::int64_t packed_size_bytes = groups * PackedKv::SizeBytes(plan, {.keys = keys, .key_length = keys});
  return packed_size_bytes + SummaryPass::SizeBytes(problem, plan, impl_->worker_count());
}

int Engine::worker_count() const { return impl_->worker_count(); }

std::vector<KernelDescription> Engine::kernels() const {
  std::vector<KernelDescription> result;
  result.reserve(std::size(kElementTypes));
  for (const ElementType type : kElementTypes) result.push_back({type, impl_->ProductsFor(type)->name()});
  return result;
}

}  // namespace attnd::core

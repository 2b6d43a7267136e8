// Start here: attention, softmax(Q·Kᵀ·scale + mask)·V, as a library.
//
//   attnd::core::Engine engine({});
//   auto problem = attnd::core::CheckProblem(description, {});
//   auto report = engine.Run(*problem, {.query = q, .key = k, .value = v, .output = out});
//
// The result of a row depends, bit for bit, only on its query, the keys it sees with their values, the options, and the
// kernel and vector instruction set that the machine has: not on the number of workers, on what else runs, or on the
// batch.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/call_options.h"
#include "core/observer.h"
#include "core/packed_keys_values.h"
#include "core/problem.h"
#include "core/report.h"
#include "core/tensors.h"

namespace attnd::core {

struct EngineOptions {
  // 0: as many as CPUs this process may use (its affinity and its control group's quota).
  int worker_count = 0;
  // Borrowed for the engine's life; may be null.
  Observer* observer = nullptr;
};

struct KernelDescription {
  ElementType element_type;
  std::string kernel;
};

// Thread-safe.
class Engine {
 public:
  explicit Engine(const EngineOptions& options);
  // Waits until every call is done.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  using Done = std::function<void(absl::StatusOr<Report>)>;

  // Starts a call and returns. Where the call is small and a worker is idle, the calling thread computes it first, and
  // a few other small ones. `done` runs exactly once, on a worker or on a thread within Start or Run, of whatever call:
  // with the report when every output is filled; with CANCELLED or DEADLINE_EXCEEDED when the call was given up, its
  // outputs then being unspecified; with RESOURCE_EXHAUSTED when memory could not be had. When it runs, nothing touches
  // the tensors any more. It must not block, nor take a lock that anybody holds who calls Start or Run, and may start
  // other calls.
  void Start(const Problem& problem, const Tensors& tensors, CallOptions options, Done done);

  // The same, waiting. Where a worker is idle, the calling thread computes in its stead, this call and others. Must not
  // be called from a `done`.
  absl::StatusOr<Report> Run(const Problem& problem, const Tensors& tensors, CallOptions options = {});

  // Packs the problem's keys and values, of which it reads nothing else, for calls of this or another engine
  // (Tensors::packed). RESOURCE_EXHAUSTED when memory could not be had. Waits as Run does.
  absl::StatusOr<std::unique_ptr<const PackedKeysValues>> Pack(const Problem& problem, const Tensors& tensors);

  // The most memory that the call will hold beyond its tensors and the workers' scratch: its packed keys and values,
  // where they are read more than once, and what summaries need, which are each row's softmax and a few tiles a worker.
  std::int64_t WorkingSizeBytes(const Problem& problem) const;

  int worker_count() const;
  // The kernel of every element type that query, key and value may have.
  std::vector<KernelDescription> kernels() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attnd::core

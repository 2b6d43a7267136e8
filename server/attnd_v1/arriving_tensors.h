// The tensors of a request whose elements come in parts.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <attnd/v1/attention.pb.h>

#include <cstddef>
#include <cstdint>

#include "core/problem.h"
#include "core/tensors.h"
#include "server/attend.h"

namespace attnd::server::attnd_v1 {

// Not thread-safe. The memory is borrowed.
class ArrivingTensors {
 public:
  // `description` is one that core::CheckProblem has accepted, and `memory` has room for what it describes.
  ArrivingTensors(const core::ProblemDescription& description, const InputMemory& memory);

  // Where the next part of a tensor goes. INVALID_ARGUMENT where these bytes are not the next ones, or too many.
  absl::StatusOr<std::byte*> Place(v1::TensorName tensor, std::int64_t offset_bytes, std::int64_t size_bytes) const;
  // They are there. `Place` has accepted them.
  void Add(v1::TensorName tensor, std::int64_t size_bytes);

  bool is_complete() const;
  // INVALID_ARGUMENT that names the first tensor of which bytes are missing. Not where they are complete.
  absl::Status Incomplete() const;

 private:
  struct Tensor {
    std::byte* data = nullptr;
    std::int64_t size_bytes = 0;
    std::int64_t arrived_bytes = 0;
  };

  static bool IsWhole(const Tensor& tensor) { return tensor.arrived_bytes == tensor.size_bytes; }

  core::PerInput<Tensor> tensors_;
};

}  // namespace attnd::server::attnd_v1

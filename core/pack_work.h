// Packs all keys and values of a problem, a key tile a task.
#pragma once

#include <cstdint>

#include "core/execute.h"
#include "core/packed_keys_values.h"
#include "core/worker_pool.h"

namespace attnd::core {

class PackWork final : public Work {
 public:
  // Borrows both; the first is prepared.
  PackWork(const Execution& execution, PackedKeysValues& packed) : execution_(execution), packed_(packed) {}

  Claim ClaimTask() override;
  void Finish() override {}

 private:
  const Execution& execution_;
  PackedKeysValues& packed_;
  // The next to be claimed.
  std::int64_t group_ = 0;
  std::int64_t key_tile_ = 0;
};

}  // namespace attnd::core

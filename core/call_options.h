// How long a call may go on.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <memory>

namespace attnd::core {

// Shared by a caller and the engine; may be set from any thread, once and for all.
class Cancellation {
 public:
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_ = false;
};

struct CallOptions {
  absl::Time deadline = absl::InfiniteFuture();
  std::shared_ptr<const Cancellation> cancellation = {};  // may be null
};

}  // namespace attnd::core

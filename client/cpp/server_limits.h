// What a server accepts in one message, asked once and then known for a while.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>

namespace attnd {

struct ServerLimits {
  // attention.proto's Limits.
  std::int64_t max_message_bytes = 0;
  std::int64_t max_in_flight_bytes = 0;
};

// Thread-safe.
class KnownLimits {
 public:
  // Nothing where they are not known, or have been known for a minute: a server may have been started anew with others.
  std::optional<ServerLimits> Get() const;
  void Set(const ServerLimits& limits);

 private:
  mutable absl::Mutex mutex_;
  std::optional<ServerLimits> limits_ ABSL_GUARDED_BY(mutex_);
  absl::Time set_at_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnd

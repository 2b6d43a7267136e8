// How much is on its way on a stream.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstddef>
#include <list>

#include "client/cpp/client.h"

namespace attnd {

// Lets requests in while there is room, in the order in which they came. Thread-safe.
class StreamWindow {
 public:
  explicit StreamWindow(const StreamOptions& options) : options_(options) {}

  // Waits until there is room for a request, and takes it. False where there was none until `deadline`. A request that
  // is larger than the window goes alone.
  bool Enter(std::size_t size_bytes, absl::Time deadline);

  // Gives the room of a request back.
  void Leave(std::size_t size_bytes);

 private:
  bool HasRoom(std::size_t size_bytes) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const StreamOptions options_;
  absl::Mutex mutex_;
  std::list<std::size_t> waiting_ ABSL_GUARDED_BY(mutex_);  // bytes
  int requests_ ABSL_GUARDED_BY(mutex_) = 0;
  std::size_t size_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attnd

// The StreamAttend calls of a server, for its shutdown: unlike other calls they would go on as long as their clients
// like.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <set>

namespace attnd::server::attnd_v1 {

class StreamReactor;

// Thread-safe.
class OpenStreams {
 public:
  void Add(std::shared_ptr<StreamReactor> stream);
  void Remove(const std::shared_ptr<StreamReactor>& stream);
  // Tells all, and those that are added later.
  void Drain();

 private:
  absl::Mutex mutex_;
  std::set<std::shared_ptr<StreamReactor>> streams_ ABSL_GUARDED_BY(mutex_);
  bool is_draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnd::server::attnd_v1

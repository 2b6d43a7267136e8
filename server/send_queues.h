// Whether peers have what was sent to them. gRPC calls an answer sent when the kernel has taken it, and closes a
// connection that is shut down as soon as its last call has ended; what then still lies in the kernel is lost if the
// peer says anything more, as every HTTP/2 client does while it reads. So calls that end while the server stops last
// until their answer has arrived.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

namespace attnd::server {

// Thread-safe.
class SendQueues {
 public:
  // From now on Sample is called every kSampleInterval, and calls wait for IsTaken.
  void StartWatching();
  bool is_watched() const;
  void Sample();

  // Whether all that was sent until `sent_at` has arrived; also once that has taken kLongestWait, for a peer that reads
  // nothing must not hold up the others.
  bool IsTaken(absl::Time sent_at) const;

  static constexpr absl::Duration kSampleInterval = absl::Milliseconds(10);
  static constexpr absl::Duration kLongestWait = absl::Seconds(1);

 private:
  mutable absl::Mutex mutex_;
  bool is_watched_ ABSL_GUARDED_BY(mutex_) = false;
  // All that was sent until then has arrived.
  absl::Time taken_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace attnd::server

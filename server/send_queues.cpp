#include "server/send_queues.h"

#include <absl/time/clock.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "server/file_descriptors.h"

namespace attnd::server {
namespace {

bool AllAreEmpty() {
  bool empty = true;
  ForEachFileDescriptor([&empty](int file_descriptor) {
    int unacknowledged_bytes = 0;
    // Fails for what is no connection.
    if (ioctl(file_descriptor, SIOCOUTQ, &unacknowledged_bytes) == 0 && unacknowledged_bytes > 0) empty = false;
  });
  return empty;
}

}  // namespace

void SendQueues::StartWatching() {
  absl::MutexLock lock(&mutex_);
  is_watched_ = true;
}

bool SendQueues::is_watched() const {
  absl::MutexLock lock(&mutex_);
  return is_watched_;
}

void SendQueues::Sample() {
  const absl::Time now = absl::Now();
  if (!AllAreEmpty()) return;
  absl::MutexLock lock(&mutex_);
  taken_until_ = now;
}

bool SendQueues::IsTaken(absl::Time sent_at) const {
  absl::MutexLock lock(&mutex_);
  return taken_until_ >= sent_at || absl::Now() - sent_at >= kLongestWait;
}

}  // namespace attnd::server

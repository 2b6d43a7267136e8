#include "server/attnd_v1/open_streams.h"

#include <utility>

#include "server/attnd_v1/stream_reactor.h"

namespace attnd::server::attnd_v1 {

void OpenStreams::Add(std::shared_ptr<StreamReactor> stream) {
  {
    absl::MutexLock lock(&mutex_);
    streams_.insert(stream);
    if (!is_draining_) return;
  }
  stream->Drain();
}

void OpenStreams::Remove(const std::shared_ptr<StreamReactor>& stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(stream);
}

void OpenStreams::Drain() {
  std::set<std::shared_ptr<StreamReactor>> streams;
  {
    absl::MutexLock lock(&mutex_);
    is_draining_ = true;
    streams = streams_;
  }
  // Without the lock, since a stream that ends removes itself.
  for (const std::shared_ptr<StreamReactor>& stream : streams) stream->Drain();
}

}  // namespace attnd::server::attnd_v1

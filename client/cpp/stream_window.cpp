#include "client/cpp/stream_window.h"

#include <cstdint>

namespace attnd {

bool StreamWindow::Enter(std::size_t size_bytes, absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const auto place = waiting_.insert(waiting_.end(), size_bytes);
  const auto may_enter = [this, place]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return place == waiting_.begin() && HasRoom(*place);
  };
  const bool entered = mutex_.AwaitWithDeadline(absl::Condition(&may_enter), deadline);
  waiting_.erase(place);
  if (entered) {
    ++requests_;
    size_bytes_ += size_bytes;
  }
  return entered;
}

void StreamWindow::Leave(std::size_t size_bytes) {
  absl::MutexLock lock(&mutex_);
  --requests_;
  size_bytes_ -= size_bytes;
}

bool StreamWindow::HasRoom(std::size_t size_bytes) const {
  if (requests_ == 0) return true;
  return requests_ < options_.max_requests_in_flight &&
         static_cast<std::int64_t>(size_bytes_ + size_bytes) <= options_.max_bytes_in_flight;
}

}  // namespace attnd

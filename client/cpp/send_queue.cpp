#include "client/cpp/send_queue.h"

#include <algorithm>
#include <utility>

namespace attnd {

void SendQueue::Add(std::shared_ptr<StreamCall> call) {
  Calls& calls = call->goes_whole ? whole_ : waiting_;
  calls.emplace(call->number, std::move(call));
}

void SendQueue::Remove(const StreamCall& call) {
  whole_.erase(call.number);
  waiting_.erase(call.number);
  for (auto& sending : sending_) {
    if (sending.get() == &call) sending.reset();
  }
}

std::shared_ptr<StreamCall> SendQueue::Next() {
  Fill();
  for (std::size_t tried = 0; tried < 3; ++tried) {
    turn_ = (turn_ + 1) % 3;
    if (turn_ < sending_.size()) {
      if (sending_[turn_]) return sending_[turn_];
    } else if (!whole_.empty()) {
      return whole_.begin()->second;
    }
  }
  return nullptr;
}

void SendQueue::Fill() {
  auto& [oldest, shortest] = sending_;
  if (!oldest && !waiting_.empty()) oldest = std::move(waiting_.extract(waiting_.begin()).mapped());
  if (!shortest && !waiting_.empty()) {
    const auto least = std::min_element(waiting_.begin(), waiting_.end(), [](const auto& left, const auto& right) {
      return left.second->size_bytes < right.second->size_bytes;
    });
    shortest = std::move(waiting_.extract(least).mapped());
  }
}

}  // namespace attnd

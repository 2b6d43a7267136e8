#include "core/worker_pool.h"

#include <algorithm>
#include <utility>

namespace attnd::core {

WorkerPool::WorkerPool(int worker_count) {
  threads_.reserve(static_cast<std::size_t>(worker_count));
  for (int i = 0; i < worker_count; ++i) threads_.emplace_back([this] { RunWorker(); });
}

WorkerPool::~WorkerPool() {
  {
    absl::MutexLock lock(&mutex_);
    while (unfinished_ > 0) all_done_.Wait(&mutex_);
    stopping_ = true;
    work_changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Add(std::unique_ptr<Work> work) {
  absl::MutexLock lock(&mutex_);
  ++unfinished_;
  entries_.push_back(std::make_unique<Entry>());
  entries_.back()->work = std::move(work);
  if (idle_workers_ > 0) work_changed_.SignalAll();
}

bool WorkerPool::ClaimNext(Claimed& claimed) {
  for (std::size_t asked = 0; asked < entries_.size(); ++asked) {
    Entry* entry = entries_.front().get();
    std::rotate(entries_.begin(), entries_.begin() + 1, entries_.end());
    if (entry->no_more) continue;
    Work::Claim claim = entry->work->ClaimTask();
    if (claim.kind == Work::Claim::Kind::kNotNow) continue;
    if (claim.kind == Work::Claim::Kind::kTask) {
      ++entry->running_tasks;
      claimed = {.entry = entry, .task = std::move(claim.task)};
      return true;
    }
    entry->no_more = true;
    if (entry->running_tasks > 0) continue;
    claimed = {.entry = entry, .task = nullptr};
    return true;
  }
  return false;
}

std::unique_ptr<Work> WorkerPool::Remove(const Entry* entry) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.get() == entry; });
  std::unique_ptr<Work> work = std::move((*found)->work);
  entries_.erase(found);
  return work;
}

void WorkerPool::RunWorker() {
  Scratch scratch;
  mutex_.Lock();
  while (true) {
    Claimed claimed;
    if (!ClaimNext(claimed)) {
      if (stopping_) break;
      ++idle_workers_;
      work_changed_.Wait(&mutex_);
      --idle_workers_;
      continue;
    }
    Entry* entry = claimed.entry;
    if (claimed.task != nullptr) {
      mutex_.Unlock();
      claimed.task(scratch);
      claimed.task = nullptr;
      mutex_.Lock();
      --entry->running_tasks;
      // What was not to be had until this task was done may be now.
      if (idle_workers_ > 0) work_changed_.SignalAll();
      if (!entry->no_more || entry->running_tasks > 0) continue;
    }
    std::unique_ptr<Work> work = Remove(entry);
    mutex_.Unlock();
    work->Finish();
    work.reset();
    mutex_.Lock();
    if (--unfinished_ == 0) all_done_.SignalAll();
  }
  mutex_.Unlock();
}

}  // namespace attnd::core

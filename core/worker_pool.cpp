#include "core/worker_pool.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace attnd::core {

WorkerPool::WorkerPool(int worker_count, absl::Duration lookout) : lookout_(lookout) {
  threads_.reserve(static_cast<std::size_t>(worker_count));
  for (int i = 0; i < worker_count; ++i) threads_.emplace_back([this] { RunWorker(); });
}

WorkerPool::~WorkerPool() {
  {
    absl::MutexLock lock(&mutex_);
    while (unfinished_ > 0) work_finished_.Wait(&mutex_);
    stopping_ = true;
    EndLookouts();
    work_changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::Add(std::unique_ptr<Work> work) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<Scratch> place = work->Size() == WorkSize::kLarge ? nullptr : TakePlace();
  if (place == nullptr) {
    AddEntry(std::move(work), nullptr);
    return;
  }
  ++unfinished_;
  RunAlone(std::move(work), *place);
  --unfinished_;
  work_finished_.SignalAll();
  LeavePlace(std::move(place));
  // A worker may have found no place for these.
  if (!entries_.empty()) work_changed_.Signal();
}

void WorkerPool::Run(std::unique_ptr<Work> work) {
  bool finished = false;
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<Scratch> place = TakePlace();
  AddEntry(std::move(work), &finished);
  if (place != nullptr) {
    Serve(*place, finished);
    LeavePlace(std::move(place));
    // A worker may have found no place for these.
    if (!entries_.empty()) work_changed_.Signal();
  }
  while (!finished) work_finished_.Wait(&mutex_);
}

void WorkerPool::AddEntry(std::unique_ptr<Work> work, bool* finished) {
  ++unfinished_;
  entries_.push_back(std::make_unique<Entry>());
  Entry& entry = *entries_.back();
  entry.work = std::move(work);
  entry.finished = finished;
  NoteChange(entry);
}

void WorkerPool::NoteChange(const Entry& entry) {
  EndLookouts();
  if (entry.work->Size() != WorkSize::kBrief && !free_places_.empty()) work_changed_.SignalAll();
}

std::unique_ptr<Scratch> WorkerPool::TakePlace() {
  if (free_places_.empty()) return nullptr;
  std::unique_ptr<Scratch> place = std::move(free_places_.back());
  free_places_.pop_back();
  return place;
}

void WorkerPool::LeavePlace(std::unique_ptr<Scratch> place) { free_places_.push_back(std::move(place)); }

void WorkerPool::RunWorker() {
  // Made here, so that its memory is near to the worker's CPU.
  auto own_place = std::make_unique<Scratch>();
  absl::MutexLock lock(&mutex_);
  LeavePlace(std::move(own_place));
  while (true) {
    std::unique_ptr<Scratch> place = TakePlace();
    if (place != nullptr) {
      Serve(*place, stopping_);
      LeavePlace(std::move(place));
    }
    if (stopping_) return;
    work_changed_.Wait(&mutex_);
  }
}

void WorkerPool::Serve(Scratch& scratch, const bool& ended) {
  while (!ended) {
    if (!RunNext(scratch) && !LookOut()) return;
  }
}

bool WorkerPool::RunNext(Scratch& scratch) {
  Claimed claimed;
  if (!ClaimNext(claimed)) return false;
  Entry* entry = claimed.entry;
  if (claimed.task != nullptr) {
    mutex_.Unlock();
    claimed.task(scratch);
    claimed.task = nullptr;
    mutex_.Lock();
    --entry->running_tasks;
    // What was not to be had until this task was done may be now.
    NoteChange(*entry);
    if (!entry->no_more || entry->running_tasks > 0) return true;
  }
  Finish(entry);
  return true;
}

void WorkerPool::RunAlone(std::unique_ptr<Work> work, Scratch& scratch) {
  mutex_.Unlock();
  for (Work::Claim claim = work->ClaimTask(); claim.kind != Work::Claim::Kind::kNoMore; claim = work->ClaimTask()) {
    // No other task of the work is running that this one could wait for.
    assert(claim.kind == Work::Claim::Kind::kTask);
    claim.task(scratch);
  }
  work->Finish();
  work.reset();
  mutex_.Lock();
}

bool WorkerPool::LookOut() {
  if (lookout_ <= absl::ZeroDuration()) return false;
  const std::uint64_t seen = changes_.load(std::memory_order_relaxed);
  ++looking_out_;
  mutex_.Unlock();
  const absl::Time end = absl::Now() + lookout_;
  // Whoever else wants the CPU gets it.
  while (changes_.load(std::memory_order_acquire) == seen && absl::Now() < end) std::this_thread::yield();
  mutex_.Lock();
  --looking_out_;
  return changes_.load(std::memory_order_relaxed) != seen;
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

void WorkerPool::Finish(const Entry* entry) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.get() == entry; });
  const std::unique_ptr<Entry> ended = std::move(*found);
  entries_.erase(found);
  mutex_.Unlock();
  ended->work->Finish();
  ended->work.reset();
  mutex_.Lock();
  if (ended->finished != nullptr) *ended->finished = true;
  --unfinished_;
  EndLookouts();
  work_finished_.SignalAll();
}

}  // namespace attnd::core

#include "core/worker_pool.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace attnd::core {
namespace {

// So many small works may come before the next task of large ones, which many callers of small ones must not keep
// waiting: together they take about as long as that.
constexpr int kMostOvertaken = 8;

// So many small works that wait does a thread that stands in for a worker after its own: they are done before a worker
// would be awake to do them. More would keep it from its other work.
constexpr int kMostAlong = 3;

}  // namespace

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
  std::unique_ptr<Entry> entry = MakeEntry(std::move(work), nullptr);
  std::unique_ptr<Scratch> place = entry->work->Size() == WorkSize::kLarge ? nullptr : TakePlace();
  if (place == nullptr) {
    Enqueue(std::move(entry));
    return;
  }
  RunAlone(std::move(entry), *place);
  for (int others = 0; others < kMostAlong && RunWaiting(*place); ++others) continue;
  LeavePlaceToWorker(std::move(place));
}

void WorkerPool::Run(std::unique_ptr<Work> work) {
  bool finished = false;
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<Entry> entry = MakeEntry(std::move(work), &finished);
  std::unique_ptr<Scratch> place = TakePlace();
  if (place == nullptr) {
    Enqueue(std::move(entry));
  } else {
    if (entry->work->Size() == WorkSize::kBrief) {
      waiting_.push_back(std::move(entry));  // and nobody is woken
    } else {
      Share(std::move(entry));
    }
    Serve(*place, finished);
    LeavePlaceToWorker(std::move(place));
  }
  while (!finished) work_finished_.Wait(&mutex_);
}

std::unique_ptr<WorkerPool::Entry> WorkerPool::MakeEntry(std::unique_ptr<Work> work, bool* finished) {
  ++unfinished_;
  auto entry = std::make_unique<Entry>();
  entry->work = std::move(work);
  entry->finished = finished;
  return entry;
}

void WorkerPool::Enqueue(std::unique_ptr<Entry> entry) {
  if (entry->work->Size() == WorkSize::kLarge) {
    Share(std::move(entry));
  } else {
    waiting_.push_back(std::move(entry));
    NoteChange();
  }
}

void WorkerPool::Share(std::unique_ptr<Entry> entry) {
  shared_.push_back(std::move(entry));
  NoteChange();
}

void WorkerPool::NoteChange() {
  EndLookouts();
  if (!free_places_.empty()) work_changed_.SignalAll();
}

std::unique_ptr<Scratch> WorkerPool::TakePlace() {
  if (free_places_.empty()) return nullptr;
  std::unique_ptr<Scratch> place = std::move(free_places_.back());
  free_places_.pop_back();
  return place;
}

void WorkerPool::LeavePlace(std::unique_ptr<Scratch> place) { free_places_.push_back(std::move(place)); }

void WorkerPool::LeavePlaceToWorker(std::unique_ptr<Scratch> place) {
  LeavePlace(std::move(place));
  if (!shared_.empty() || !waiting_.empty()) work_changed_.Signal();
}

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
  if (overtaken_ < kMostOvertaken && RunWaiting(scratch)) return true;
  return RunShared(scratch) || RunWaiting(scratch);
}

bool WorkerPool::RunWaiting(Scratch& scratch) {
  if (waiting_.empty()) return false;
  overtaken_ = std::min(overtaken_ + 1, kMostOvertaken);
  std::unique_ptr<Entry> entry = std::move(waiting_.front());
  waiting_.pop_front();
  RunAlone(std::move(entry), scratch);
  return true;
}

bool WorkerPool::RunShared(Scratch& scratch) {
  Claimed claimed;
  if (!ClaimNext(claimed)) return false;
  Entry* entry = claimed.entry;
  if (claimed.task != nullptr) {
    overtaken_ = 0;
    mutex_.Unlock();
    claimed.task(scratch);
    claimed.task = nullptr;
    mutex_.Lock();
    --entry->running_tasks;
    // What was not to be had until this task was done may be now.
    NoteChange();
    if (!entry->no_more || entry->running_tasks > 0) return true;
  }
  const auto found = std::find_if(shared_.begin(), shared_.end(), [&](const auto& e) { return e.get() == entry; });
  std::unique_ptr<Entry> ended = std::move(*found);
  shared_.erase(found);
  Finish(std::move(ended));
  return true;
}

void WorkerPool::RunAlone(std::unique_ptr<Entry> entry, Scratch& scratch) {
  mutex_.Unlock();
  Work& work = *entry->work;
  for (Work::Claim claim = work.ClaimTask(); claim.kind != Work::Claim::Kind::kNoMore; claim = work.ClaimTask()) {
    // No other task of the work is running that this one could wait for.
    assert(claim.kind == Work::Claim::Kind::kTask);
    claim.task(scratch);
  }
  mutex_.Lock();
  Finish(std::move(entry));
}

bool WorkerPool::LookOut() {
  if (lookout_ <= absl::ZeroDuration()) return false;
  const std::uint64_t seen = changes_.load(std::memory_order_relaxed);
  mutex_.Unlock();
  const absl::Time end = absl::Now() + lookout_;
  // Whoever else wants the CPU gets it.
  while (changes_.load(std::memory_order_acquire) == seen && absl::Now() < end) std::this_thread::yield();
  mutex_.Lock();
  return changes_.load(std::memory_order_relaxed) != seen;
}

bool WorkerPool::ClaimNext(Claimed& claimed) {
  for (std::size_t asked = 0; asked < shared_.size(); ++asked) {
    Entry* entry = shared_.front().get();
    std::rotate(shared_.begin(), shared_.begin() + 1, shared_.end());
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

void WorkerPool::Finish(std::unique_ptr<Entry> entry) {
  mutex_.Unlock();
  entry->work->Finish();
  entry->work.reset();
  mutex_.Lock();
  if (entry->finished != nullptr) {
    *entry->finished = true;
    EndLookouts();
  }
  --unfinished_;
  work_finished_.SignalAll();
}

}  // namespace attnd::core

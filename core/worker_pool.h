// One pool of threads that serves all calls: each worker takes a piece from every large call in turn, and small calls,
// which nobody cuts, overtake them, so none is stuck behind a large one.
//
// To compute, a thread needs a place, which is a scratch; there are as many as workers. Workers that find nothing to do
// give theirs back, look out for more for a moment, and sleep. A thread that would wait for its work takes such a place
// and computes itself, and one that brings work which is not large does, too: to wake a worker, and to be woken by it,
// takes longer than a small call.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "core/scratch.h"

namespace attnd::core {

// A piece of work, for a worker and its scratch.
using Task = std::function<void(Scratch&)>;

// What becomes of a thread that does a work alone.
enum class WorkSize : std::uint8_t {
  kBrief,  // it is done before another thread would be awake to help
  kSmall,  // it may do the work on its way to something else
  kLarge,  // it is held up for long
};

// Something that is cut into tasks.
class Work {
 public:
  virtual ~Work() = default;

  struct Claim {
    enum class Kind : std::uint8_t {
      kTask,    // run this one
      kNotNow,  // ask again when another task of this work is done; only while one runs
      kNoMore,  // never ask again
    };
    Kind kind = Kind::kNoMore;
    Task task;
  };
  // The next task. Called by one thread at a time, while others run tasks; must be quick and must not call the pool.
  virtual Claim ClaimTask() = 0;
  // Called once, when there are no more tasks and all claimed ones are done, by a thread that has a place: within Add,
  // it may be. May call the pool's Add.
  virtual void Finish() = 0;

  // Of all tasks together. Constant.
  virtual WorkSize Size() const { return WorkSize::kLarge; }
};

// Thread-safe.
class WorkerPool {
 public:
  // Who has nothing to do looks out for more for `lookout` before it sleeps.
  WorkerPool(int worker_count, absl::Duration lookout);
  // Waits until all work is finished.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Returns before the work is finished, unless it is not large and a worker is idle: then the calling thread does it,
  // and a few that came meanwhile.
  void Add(std::unique_ptr<Work> work);
  // Returns when the work is finished. The calling thread stands in for a worker that is idle, if one is, and serves
  // all work as that would. Must not be called by a thread that has a place.
  void Run(std::unique_ptr<Work> work);

  int worker_count() const { return static_cast<int>(threads_.size()); }

 private:
  struct Entry {
    std::unique_ptr<Work> work;
    int running_tasks = 0;
    bool no_more = false;
    bool* finished = nullptr;  // where Run waits; may be null
  };
  struct Claimed {
    Entry* entry = nullptr;
    Task task;  // empty: the entry is to be finished
  };

  void RunWorker();
  // Null where all places are taken.
  std::unique_ptr<Scratch> TakePlace() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LeavePlace(std::unique_ptr<Scratch> place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same, of who may leave work behind for which a worker has found no place.
  void LeavePlaceToWorker(std::unique_ptr<Scratch> place) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // In a place, until `ended` or there has been nothing to do for a while. Lets go of the mutex in between, as the next
  // five do.
  void Serve(Scratch& scratch, const bool& ended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Each of these is false where there is nothing to do.
  bool RunNext(Scratch& scratch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool RunWaiting(Scratch& scratch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs a task, or finishes some work.
  bool RunShared(Scratch& scratch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // All tasks of what nobody else knows.
  void RunAlone(std::unique_ptr<Entry> entry, Scratch& scratch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether anything has changed, waiting for it without sleep.
  bool LookOut() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::unique_ptr<Entry> MakeEntry(std::unique_ptr<Work> work, bool* finished) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // For what finds no place.
  void Enqueue(std::unique_ptr<Entry> entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Share(std::unique_ptr<Entry> entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Goes through the shared entries in turn, starting after the one that was served last.
  bool ClaimNext(Claimed& claimed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Finish(std::unique_ptr<Entry> entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // There may be more to do: tells those who look out, and wakes those who sleep.
  void NoteChange() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndLookouts() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { changes_.fetch_add(1, std::memory_order_release); }

  const absl::Duration lookout_;

  absl::Mutex mutex_;
  absl::CondVar work_changed_ ABSL_GUARDED_BY(mutex_);
  absl::CondVar work_finished_ ABSL_GUARDED_BY(mutex_);
  // Those that are cut into tasks. The one to be served next is first.
  std::deque<std::unique_ptr<Entry>> shared_ ABSL_GUARDED_BY(mutex_);
  // Those that are not large and wait to be done whole.
  std::deque<std::unique_ptr<Entry>> waiting_ ABSL_GUARDED_BY(mutex_);
  // How many of these were done since a task of the shared ones was, or as many as may be: small ones may come for
  // years.
  int overtaken_ ABSL_GUARDED_BY(mutex_) = 0;
  int unfinished_ ABSL_GUARDED_BY(mutex_) = 0;
  // The one that was used last is last, and its memory most likely in a cache.
  std::vector<std::unique_ptr<Scratch>> free_places_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Counts; written with the mutex held, and read without it by who looks out.
  std::atomic<std::uint64_t> changes_ = 0;

  std::vector<std::thread> threads_;  // constant after construction
};

}  // namespace attnd::core

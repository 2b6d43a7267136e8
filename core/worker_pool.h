// One pool of threads that serves all calls: each worker takes a piece from every running call in turn, so a small call
// is not stuck behind a large one.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

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

// Something that is cut into tasks.
class Work {
 public:
  virtual ~Work() = default;

  struct Claim {
    enum class Kind : std::uint8_t {
      kTask,    // run this one
      kNotNow,  // ask again when another task of this work is done
      kNoMore,  // never ask again
    };
    Kind kind = Kind::kNoMore;
    Task task;
  };
  // The next task. Called by one thread at a time, while others run tasks; must be quick and must not call the pool.
  virtual Claim ClaimTask() = 0;
  // Called once, on a worker, when there are no more tasks and all claimed ones are done. May call the pool's Add.
  virtual void Finish() = 0;
};

// Thread-safe.
class WorkerPool {
 public:
  explicit WorkerPool(int worker_count);
  // Waits until all work is finished.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void Add(std::unique_ptr<Work> work);

  int worker_count() const { return static_cast<int>(threads_.size()); }

 private:
  struct Entry {
    std::unique_ptr<Work> work;
    int running_tasks = 0;
    bool no_more = false;
  };
  struct Claimed {
    Entry* entry = nullptr;
    Task task;  // empty: the entry is to be finished
  };

  void RunWorker();
  // Goes through the entries in turn, starting after the one that was served last.
  bool ClaimNext(Claimed& claimed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::unique_ptr<Work> Remove(const Entry* entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  absl::CondVar work_changed_ ABSL_GUARDED_BY(mutex_);
  absl::CondVar all_done_ ABSL_GUARDED_BY(mutex_);
  // The one to be served next is first.
  std::deque<std::unique_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);
  int unfinished_ ABSL_GUARDED_BY(mutex_) = 0;
  int idle_workers_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;  // constant after construction
};

}  // namespace attnd::core

// A bounded cache that forgets what was not used for longest. Thread-safe.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/hash/hash.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

namespace attnd::core::kernels {

template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(std::size_t capacity) : capacity_(capacity) {}

  // The value of `key`, from `make()` where it is not kept. Two threads may make the same value at once; one of them is
  // kept.
  template <typename Make>
  std::shared_ptr<const Value> GetOrMake(const Key& key, Make make) {
    if (std::shared_ptr<const Value> found = Find(key)) return found;
    return Insert(key, make());
  }

 private:
  using Entry = std::pair<Key, std::shared_ptr<const Value>>;

  std::shared_ptr<const Value> Find(const Key& key) {
    absl::MutexLock lock(&mutex_);
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->second;
  }

  std::shared_ptr<const Value> Insert(const Key& key, std::shared_ptr<const Value> value) {
    absl::MutexLock lock(&mutex_);
    if (const auto found = index_.find(key); found != index_.end()) return found->second->second;
    entries_.emplace_front(key, value);
    index_[key] = entries_.begin();
    if (entries_.size() > capacity_) {
      index_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return value;
  }

  const std::size_t capacity_;
  absl::Mutex mutex_;
  std::list<Entry> entries_ ABSL_GUARDED_BY(mutex_);  // most recently used first
  std::unordered_map<Key, typename std::list<Entry>::iterator, absl::Hash<Key>> index_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attnd::core::kernels

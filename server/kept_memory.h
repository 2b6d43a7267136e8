// Memory of large tensors that is kept for the next request. Fresh memory of the kernel's is filled with zeros page by
// page before anybody may write to it, and taken down again, which takes longer than copying a tensor.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "core/aligned_buffer.h"

namespace attnd::server {

// Thread-safe. Must outlive what it gave.
class KeptMemory {
 public:
  // Keeps so many bytes at the most.
  explicit KeptMemory(std::int64_t most_bytes) : most_bytes_(static_cast<std::size_t>(most_bytes)) {}
  ~KeptMemory() { DropAll(); }
  KeptMemory(const KeptMemory&) = delete;
  KeptMemory& operator=(const KeptMemory&) = delete;

  // Gives memory back to where it came from: `kept`, or the system where that is null.
  struct GiveBack {
    KeptMemory* kept = nullptr;
    std::size_t size_bytes = 0;
    void operator()(std::byte* memory) const;
  };
  using Memory = std::unique_ptr<std::byte[], GiveBack>;

  // At least so many bytes, aligned, not initialised. Null where they cannot be had.
  Memory Take(std::size_t size_bytes);

  std::int64_t kept_bytes() const;

  // Smaller tensors come from malloc, which keeps such blocks itself.
  static constexpr std::size_t kLeastBytes = std::size_t{1} << 20;

 private:
  struct Block {
    core::AlignedBuffer memory;
    std::size_t size_bytes = 0;
  };

  // The smallest block that is large enough, but hardly larger; without memory where there is none.
  Block FindKept(std::size_t size_bytes);
  void Keep(Block block);
  void DropAll();

  const std::size_t most_bytes_;
  mutable absl::Mutex mutex_;
  std::deque<Block> blocks_ ABSL_GUARDED_BY(mutex_);  // longest kept first
  std::size_t kept_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attnd::server

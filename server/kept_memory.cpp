#include "server/kept_memory.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#include <utility>

namespace attnd::server {
namespace {

// Nobody has memory that is kept, and the address sanitizer should see who uses it all the same.
void Forbid([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t size_bytes) {
#ifdef __SANITIZE_ADDRESS__
  ASAN_POISON_MEMORY_REGION(memory, size_bytes);
#endif
}

void Allow([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t size_bytes) {
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(memory, size_bytes);
#endif
}

}  // namespace

void KeptMemory::GiveBack::operator()(std::byte* memory) const {
  core::AlignedBuffer buffer(memory);
  if (kept != nullptr) kept->Keep({.memory = std::move(buffer), .size_bytes = size_bytes});
}

KeptMemory::Memory KeptMemory::Take(std::size_t size_bytes) {
  if (size_bytes < kLeastBytes) return {core::AllocateAligned(size_bytes).release(), GiveBack{}};
  Block block = FindKept(size_bytes);
  if (block.memory == nullptr) block = {.memory = core::AllocateAligned(size_bytes), .size_bytes = size_bytes};
  if (block.memory == nullptr) {
    DropAll();
    block.memory = core::AllocateAligned(size_bytes);
  }
  return {block.memory.release(), GiveBack{.kept = this, .size_bytes = block.size_bytes}};
}

std::int64_t KeptMemory::kept_bytes() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<std::int64_t>(kept_bytes_);
}

KeptMemory::Block KeptMemory::FindKept(std::size_t size_bytes) {
  absl::MutexLock lock(&mutex_);
  // What a tensor may take beyond what was reserved for it.
  const std::size_t largest_bytes = size_bytes + size_bytes / 8;
  auto best = blocks_.end();
  for (auto block = blocks_.begin(); block != blocks_.end(); ++block) {
    if (block->size_bytes < size_bytes || block->size_bytes > largest_bytes) continue;
    if (best == blocks_.end() || block->size_bytes < best->size_bytes) best = block;
  }
  if (best == blocks_.end()) return {};
  Block found = std::move(*best);
  blocks_.erase(best);
  kept_bytes_ -= found.size_bytes;
  Allow(found.memory.get(), found.size_bytes);
  return found;
}

void KeptMemory::Keep(Block block) {
  if (block.size_bytes > most_bytes_) return;
  std::deque<Block> dropped;  // after the lock
  absl::MutexLock lock(&mutex_);
  while (kept_bytes_ + block.size_bytes > most_bytes_) {
    dropped.push_back(std::move(blocks_.front()));
    blocks_.pop_front();
    kept_bytes_ -= dropped.back().size_bytes;
    Allow(dropped.back().memory.get(), dropped.back().size_bytes);
  }
  kept_bytes_ += block.size_bytes;
  Forbid(block.memory.get(), block.size_bytes);
  blocks_.push_back(std::move(block));
}

void KeptMemory::DropAll() {
  std::deque<Block> dropped;
  absl::MutexLock lock(&mutex_);
  dropped.swap(blocks_);
  kept_bytes_ = 0;
  for (const Block& block : dropped) Allow(block.memory.get(), block.size_bytes);
}

}  // namespace attnd::server

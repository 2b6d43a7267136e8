// Preloaded into a process, counts the bytes that it has allocated, whoever allocates them: its own code, C++'s new,
// and every library. Sizes are those that the allocator really set aside.
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "tests/server/memory/malloc_counters.h"

// glibc's own functions by the names under which they cannot be replaced.
extern "C" {
void* __libc_malloc(std::size_t size);                           // NOLINT(readability-identifier-naming)
void* __libc_calloc(std::size_t count, std::size_t size);        // NOLINT(readability-identifier-naming)
void* __libc_realloc(void* memory, std::size_t size);            // NOLINT(readability-identifier-naming)
void* __libc_memalign(std::size_t alignment, std::size_t size);  // NOLINT(readability-identifier-naming)
void __libc_free(void* memory);                                  // NOLINT(readability-identifier-naming)
}

namespace {

using attnd::test::MallocCounter;
using attnd::test::MallocCounters;

// Written before any thread is started, and then only read.
MallocCounters* counters = nullptr;

__attribute__((constructor)) void MapCounters() {
  const char* path = getenv(attnd::test::kMallocCountersVariable);
  if (path == nullptr) return;
  const int file = open(path, O_RDWR | O_CLOEXEC);
  void* memory = mmap(nullptr, sizeof(MallocCounters), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) abort();
  counters = static_cast<MallocCounters*>(memory);
}

std::int64_t SizeBytes(void* memory) { return static_cast<std::int64_t>(malloc_usable_size(memory)); }

MallocCounter& CounterOf(std::int64_t size_bytes) {
  return size_bytes >= attnd::test::kLargeBlockBytes ? counters->large : counters->small;
}

void CountAllocated(std::int64_t size_bytes) {
  if (counters == nullptr) return;
  MallocCounter& counter = CounterOf(size_bytes);
  const std::int64_t current = counter.current_bytes.fetch_add(size_bytes) + size_bytes;
  std::int64_t peak = counter.peak_bytes.load();
  while (current > peak && !counter.peak_bytes.compare_exchange_weak(peak, current)) {
  }
}

void CountFreed(std::int64_t size_bytes) {
  if (counters != nullptr) CounterOf(size_bytes).current_bytes -= size_bytes;
}

void* Counted(void* memory) {
  if (memory != nullptr) CountAllocated(SizeBytes(memory));
  return memory;
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) { return Counted(__libc_malloc(size)); }

void* calloc(std::size_t count, std::size_t size) { return Counted(__libc_calloc(count, size)); }

void free(void* memory) {
  if (memory != nullptr) CountFreed(SizeBytes(memory));
  __libc_free(memory);
}

// While it copies, both may be there: counted as if they were.
void* realloc(void* memory, std::size_t size) {
  const std::int64_t before = memory == nullptr ? 0 : SizeBytes(memory);
  void* moved = __libc_realloc(memory, size);
  if (moved != nullptr) CountAllocated(SizeBytes(moved));
  if (moved != nullptr || size == 0) CountFreed(before);
  return moved;
}

void* memalign(std::size_t alignment, std::size_t size) { return Counted(__libc_memalign(alignment, size)); }

void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  void* allocated = memalign(alignment, size);
  if (allocated == nullptr) return ENOMEM;
  *memory = allocated;
  return 0;
}

void* valloc(std::size_t size) { return memalign(static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), size); }

}  // extern "C"

// What malloc has given and not got back.
#pragma once

#include <malloc.h>

#include <cstdint>

namespace attnd::test {

// Of the whole process; not what it keeps of it, which depends on the allocator's mood. 0 where a sanitizer allocates.
inline std::int64_t AllocatedBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

}  // namespace attnd::test

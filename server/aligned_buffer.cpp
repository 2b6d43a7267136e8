#include "server/aligned_buffer.h"

#include <absl/strings/str_cat.h>

namespace attnd::server {

absl::StatusOr<AlignedBuffer> AlignedBuffer::Allocate(std::int64_t size_bytes) {
  AlignedBuffer buffer;
  if (size_bytes == 0) return buffer;
  // std::aligned_alloc takes multiples of the alignment only.
  const std::size_t rounded = (static_cast<std::size_t>(size_bytes) + kAlignmentBytes - 1) & ~(kAlignmentBytes - 1);
  buffer.data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignmentBytes, rounded)));
  if (buffer.data_ == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("memory: ", size_bytes, " bytes for a tensor could not be had"));
  }
  buffer.size_bytes_ = size_bytes;
  return buffer;
}

}  // namespace attnd::server

#include "core/scratch.h"

#include <cstring>
#include <new>

#include "core/kernels/products.h"

namespace attnd::core {
namespace {

// Zeroed, since products read whole row classes: rows past a tile's last must hold numbers, whichever.
AlignedBuffer AllocateZeroed(std::int64_t count, std::size_t element_size_bytes) {
  const std::size_t size_bytes = static_cast<std::size_t>(count) * element_size_bytes;
  AlignedBuffer buffer = AllocateAligned(size_bytes);
  if (buffer == nullptr) throw std::bad_alloc();
  std::memset(buffer.get(), 0, size_bytes);
  return buffer;
}

}  // namespace

Scratch::Scratch()
    : query_(AllocateZeroed(kQueryTileRows * kMaxHeadSize, sizeof(float))),
      scores_(AllocateZeroed(kQueryTileRows * kKeyTileKeys, sizeof(float))),
      half_weights_(AllocateZeroed(kQueryTileRows * kKeyTileKeys, sizeof(std::uint16_t))),
      sums_(AllocateZeroed(kQueryTileRows * kMaxHeadSize, sizeof(float))),
      panel_(AllocateZeroed(kernels::kPanelColumns * kMaxHeadSize, sizeof(float))),
      key_tile_(AllocateZeroed(kKeyTileKeys * kMaxHeadSize, sizeof(float))),
      value_tile_(AllocateZeroed(kKeyTileKeys * kMaxHeadSize, sizeof(float))),
      added_(AllocateZeroed(kQueryTileRows * kKeyTileKeys, sizeof(float))),
      mask_bytes_(AllocateZeroed(kQueryTileRows * kKeyTileKeys, sizeof(std::uint8_t))) {}

}  // namespace attnd::core

// Reads a message that lies in many pieces of memory.
#pragma once

#include <google/protobuf/io/zero_copy_stream.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace attnd::server::attnd_v1 {

// Not thread-safe. The stream is borrowed and belongs to the reader until its end.
class ByteReader {
 public:
  explicit ByteReader(google::protobuf::io::ZeroCopyInputStream& stream) : stream_(stream) {}

  // How many bytes were read or skipped.
  std::int64_t position_bytes() const { return position_bytes_; }

  // False, here and below, where the stream ends before.
  bool ReadByte(std::uint8_t& byte) { return Read(reinterpret_cast<std::byte*>(&byte), 1); }

  bool Read(std::byte* destination, std::int64_t size_bytes) {
    return ForEachPiece(size_bytes, [&destination](const std::byte* piece, std::size_t piece_bytes) {
      std::memcpy(destination, piece, piece_bytes);
      destination += piece_bytes;
    });
  }

  bool Skip(std::int64_t size_bytes) {
    return ForEachPiece(size_bytes, [](const std::byte*, std::size_t) {});
  }

 private:
  template <typename Visit>
  bool ForEachPiece(std::int64_t size_bytes, const Visit& visit) {
    while (size_bytes > 0) {
      if (piece_bytes_ == 0 && !NextPiece()) return false;
      const std::int64_t taken_bytes = size_bytes < piece_bytes_ ? size_bytes : piece_bytes_;
      visit(piece_, static_cast<std::size_t>(taken_bytes));
      piece_ += taken_bytes;
      piece_bytes_ -= taken_bytes;
      position_bytes_ += taken_bytes;
      size_bytes -= taken_bytes;
    }
    return true;
  }

  // A stream may hand out empty pieces.
  bool NextPiece() {
    const void* data = nullptr;
    int size = 0;
    while (size == 0) {
      if (!stream_.Next(&data, &size)) return false;
    }
    piece_ = static_cast<const std::byte*>(data);
    piece_bytes_ = size;
    return true;
  }

  google::protobuf::io::ZeroCopyInputStream& stream_;
  const std::byte* piece_ = nullptr;
  std::int64_t piece_bytes_ = 0;
  std::int64_t position_bytes_ = 0;
};

}  // namespace attnd::server::attnd_v1

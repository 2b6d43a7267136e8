// Messages cut into pieces, as gRPC delivers them, and what two decoders make of them.
#pragma once

#include <absl/status/statusor.h>
#include <attnd/v1/attention.pb.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/problem.h"
#include "core/tensors.h"

namespace attnd::test {

using Pieces = std::vector<std::string>;

// Hands out one piece after the other, empty ones too. The pieces are borrowed.
class PieceStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  explicit PieceStream(const Pieces& pieces) : pieces_(pieces) {}
  bool Next(const void** data, int* size) override;
  void BackUp(int count) override;
  bool Skip(int count) override;
  std::int64_t ByteCount() const override;

 private:
  const Pieces& pieces_;
  std::size_t next_ = 0;
  int backed_up_ = 0;
};

Pieces CutEvery(const std::string& message, std::size_t piece_bytes);
Pieces CutAtRandom(const std::string& message, std::mt19937_64& random);

// What a decoder understood.
struct Decoded {
  // Without elements.
  v1::AttendRequest request;
  core::ProblemDescription description;
  core::PerInput<std::string> elements;
};

// All of it as text, so that two can be compared and their difference be read. Elements as bytes.
std::string ToString(const Decoded& decoded);

// The elements of a request, taken out of it.
core::PerInput<std::string> TakeElements(v1::AttendRequest& request);

// By the server's own decoder.
absl::StatusOr<Decoded> Decode(const Pieces& pieces);
// By protobuf's parser for the whole message.
absl::StatusOr<Decoded> DecodeByReference(const std::string& message);

}  // namespace attnd::test

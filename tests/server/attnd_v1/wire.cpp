#include "tests/server/attnd_v1/wire.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <attnd/v1/attention.pb.h>

#include <algorithm>
#include <bit>

#include "server/attnd_v1/decode.h"
#include "server/attnd_v1/known_fields.h"
#include "server/attnd_v1/to_description.h"

namespace attnd::test {
namespace {

std::string ToString(const core::TensorDescription& tensor) {
  return absl::StrCat(core::ElementTypeName(tensor.element_type), " ", core::ToString(tensor.shape));
}

std::string ToString(const core::MaskOptions& mask) {
  std::string text;
  if (mask.causal.has_value()) absl::StrAppend(&text, " causal ", static_cast<int>(*mask.causal));
  if (mask.causal_offsets.has_value()) absl::StrAppend(&text, " offsets ", absl::StrJoin(*mask.causal_offsets, ","));
  if (mask.key_lengths.has_value()) absl::StrAppend(&text, " lengths ", absl::StrJoin(*mask.key_lengths, ","));
  if (mask.boolean.has_value()) absl::StrAppend(&text, " boolean ", ToString(*mask.boolean));
  return text;
}

}  // namespace

bool PieceStream::Next(const void** data, int* size) {
  if (next_ == pieces_.size() && backed_up_ == 0) return false;
  if (backed_up_ == 0) ++next_;
  const std::string& piece = pieces_[next_ - 1];
  *size = backed_up_ > 0 ? backed_up_ : static_cast<int>(piece.size());
  *data = piece.data() + piece.size() - *size;
  backed_up_ = 0;
  return true;
}

void PieceStream::BackUp(int count) { backed_up_ = count; }

bool PieceStream::Skip(int count) {
  const void* data = nullptr;
  int size = 0;
  while (count > 0 && Next(&data, &size)) {
    if (size > count) BackUp(size - count);
    count -= std::min(size, count);
  }
  return count == 0;
}

std::int64_t PieceStream::ByteCount() const {
  std::int64_t count = -backed_up_;
  for (std::size_t i = 0; i < next_; ++i) count += static_cast<std::int64_t>(pieces_[i].size());
  return count;
}

Pieces CutEvery(const std::string& message, std::size_t piece_bytes) {
  Pieces pieces;
  for (std::size_t begin = 0; begin < message.size(); begin += piece_bytes) {
    pieces.push_back(message.substr(begin, piece_bytes));
  }
  return pieces;
}

Pieces CutAtRandom(const std::string& message, std::mt19937_64& random) {
  Pieces pieces;
  for (std::size_t begin = 0; begin < message.size();) {
    // Many tiny ones, some large, now and then none.
    const std::size_t limit = random() % 4 == 0 ? 400 : 4;
    pieces.push_back(message.substr(begin, random() % limit));
    begin += pieces.back().size();
  }
  return pieces;
}

std::string ToString(const Decoded& decoded) {
  const core::ProblemDescription& d = decoded.description;
  std::string text =
      absl::StrCat("query ", ToString(d.query), " key ", ToString(d.key), " value ", ToString(d.value), " layout ",
                   static_cast<int>(d.layout), " empty row ", static_cast<int>(d.empty_row), " weights ",
                   d.return_weights, " log-sum-exp ", d.return_log_sum_exp, ToString(d.mask));
  // As bits, which also tell one NaN from another.
  if (d.scale.has_value()) absl::StrAppend(&text, " scale ", absl::Hex(std::bit_cast<std::uint64_t>(*d.scale)));
  absl::StrAppend(&text, " bytes ", d.query_size_bytes, " ", d.key_size_bytes, " ", d.value_size_bytes, " ",
                  d.mask_size_bytes.value_or(-1));
  for (const std::string* data : {&decoded.query, &decoded.key, &decoded.value, &decoded.mask}) {
    absl::StrAppend(&text, "\n", absl::BytesToHexString(*data));
  }
  return text;
}

absl::StatusOr<Decoded> Decode(const Pieces& pieces) {
  std::int64_t size_bytes = 0;
  for (const std::string& piece : pieces) size_bytes += static_cast<std::int64_t>(piece.size());
  PieceStream scanned_message(pieces);
  server::attnd_v1::ScannedMessage scanned;
  if (absl::Status status = server::attnd_v1::ScanRequest(scanned_message, size_bytes, scanned); !status.ok()) {
    return status;
  }
  const absl::StatusOr<v1::AttendRequest> request = server::attnd_v1::ParseRequest(scanned);
  if (!request.ok()) return request.status();
  const absl::StatusOr<core::ProblemDescription> description = server::attnd_v1::ToDescription(*request, scanned);
  if (!description.ok()) return description.status();

  Decoded decoded;
  decoded.description = *description;
  const auto memory_for = [](std::string& bytes, std::int64_t size) {
    bytes.resize(static_cast<std::size_t>(size));
    return reinterpret_cast<std::byte*>(bytes.data());
  };
  PieceStream copied_message(pieces);
  server::attnd_v1::CopyPayloads(copied_message, scanned,
                                 {.query = memory_for(decoded.query, description->query_size_bytes),
                                  .key = memory_for(decoded.key, description->key_size_bytes),
                                  .value = memory_for(decoded.value, description->value_size_bytes),
                                  .mask = memory_for(decoded.mask, description->mask_size_bytes.value_or(0))});
  return decoded;
}

absl::StatusOr<Decoded> DecodeByReference(const std::string& message) {
  v1::AttendRequest request;
  if (!request.ParseFromString(message)) return absl::InvalidArgumentError("protobuf refuses it");
  if (absl::Status status = server::attnd_v1::CheckKnownFields(request, ""); !status.ok()) return status;
  const auto size = [](const std::string& bytes) { return static_cast<std::int64_t>(bytes.size()); };
  const absl::StatusOr<core::ProblemDescription> description = server::attnd_v1::ToDescription(
      request.has_problem() ? &request.problem() : nullptr, {.query_size_bytes = size(request.query_data()),
                                                             .key_size_bytes = size(request.key_data()),
                                                             .value_size_bytes = size(request.value_data()),
                                                             .mask_size_bytes = size(request.mask_data())});
  if (!description.ok()) return description.status();
  return Decoded{.description = *description,
                 .query = request.query_data(),
                 .key = request.key_data(),
                 .value = request.value_data(),
                 .mask = request.mask_data()};
}

}  // namespace attnd::test

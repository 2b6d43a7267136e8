#include "tests/server/attnd_v1/wire.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>

#include "server/attnd_v1/decode.h"
#include "server/attnd_v1/known_fields.h"
#include "server/attnd_v1/tensor_names.h"
#include "server/attnd_v1/to_description.h"

namespace attnd::test {
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
  // The text does not tell one NaN from another; the bytes do.
  std::string text = absl::StrCat(decoded.request.ShortDebugString(), "\n",
                                  absl::BytesToHexString(decoded.request.SerializeAsString()));
  for (const core::Input input : core::kInputs) {
    absl::StrAppend(&text, "\n", decoded.description.size_bytes[input],
                    " bytes: ", absl::BytesToHexString(decoded.elements[input]));
  }
  return text;
}

core::PerInput<std::string> TakeElements(v1::AttendRequest& request) {
  core::PerInput<std::string> elements;
  for (const core::Input input : core::kInputs) {
    const google::protobuf::FieldDescriptor& field =
        *v1::AttendRequest::descriptor()->FindFieldByNumber(server::attnd_v1::DataFieldNumber(input));
    elements[input] = request.GetReflection()->GetString(request, &field);
    request.GetReflection()->ClearField(&request, &field);
  }
  return elements;
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

  Decoded decoded{.request = *request, .description = *description, .elements = {}};
  server::InputMemory memory;
  for (const core::Input input : core::kInputs) {
    decoded.elements[input].resize(static_cast<std::size_t>(description->size_bytes[input]));
    memory[input] = reinterpret_cast<std::byte*>(decoded.elements[input].data());
  }
  PieceStream copied_message(pieces);
  server::attnd_v1::CopyPayloads(copied_message, scanned, memory);
  return decoded;
}

absl::StatusOr<Decoded> DecodeByReference(const std::string& message) {
  v1::AttendRequest request;
  if (!request.ParseFromString(message)) return absl::InvalidArgumentError("protobuf refuses it");
  if (absl::Status status = server::attnd_v1::CheckKnownFields(request, ""); !status.ok()) return status;
  const core::PerInput<std::string> elements = TakeElements(request);
  core::PerInput<std::int64_t> size_bytes;
  std::ranges::transform(elements, size_bytes.begin(),
                         [](const std::string& bytes) { return static_cast<std::int64_t>(bytes.size()); });
  const absl::StatusOr<core::ProblemDescription> description =
      server::attnd_v1::ToDescription(request.has_problem() ? &request.problem() : nullptr, size_bytes);
  if (!description.ok()) return description.status();
  return Decoded{.request = request, .description = *description, .elements = elements};
}

}  // namespace attnd::test

// A problem of many short sequences in a file, and what the core makes of it: for a test of a problem that is larger
// than memory should have to hold twice.
//
//   short_sequences write FILE BATCH    queries, keys and values of float32 [BATCH, 8, 64, 64], as safetensors
//   short_sequences check FILE OUTPUT   whether OUTPUT, a .npy file, has the core's own bits for FILE
#include <absl/status/status.h>
#include <absl/strings/numbers.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "client/cli/file.h"
#include "client/cli/npy.h"
#include "client/cli/safetensors.h"
#include "core/engine.h"

namespace {

using attnd::cli::Array;

constexpr std::int64_t kHeads = 8;
constexpr std::int64_t kRows = 64;
constexpr std::int64_t kHeadSize = 64;
constexpr std::int64_t kEntryElements = kHeads * kRows * kHeadSize;
constexpr std::int64_t kEntrySizeBytes = kEntryElements * sizeof(float);
// Batch entries that the core computes at once.
constexpr std::int64_t kChunkEntries = 128;
constexpr std::array<const char*, 3> kNames = {"query", "key", "value"};

int Fail(const std::string& why) {
  std::fprintf(stderr, "short_sequences: %s\n", why.c_str());
  return 1;
}

// From −1 to 1, scattered as by chance; the same for the same number.
float Element(std::uint64_t number) {
  number *= 0x9e3779b97f4a7c15;  // 2^64 divided by the golden ratio
  number ^= number >> 32;
  number *= 0x9e3779b97f4a7c15;
  return static_cast<float>(static_cast<std::int32_t>(number >> 32)) * 0x1p-31F;
}

std::string Header(std::int64_t batch) {
  const std::string shape = "[" + std::to_string(batch) + "," + std::to_string(kHeads) + "," + std::to_string(kRows) +
                            "," + std::to_string(kHeadSize) + "]";
  const std::int64_t size_bytes = batch * kEntrySizeBytes;
  std::string header;
  for (std::size_t n = 0; n < kNames.size(); ++n) {
    const auto index = static_cast<std::int64_t>(n);
    header += (n == 0 ? "{\"" : ",\"") + std::string(kNames[n]) + "\":{\"dtype\":\"F32\",\"shape\":" + shape +
              ",\"data_offsets\":[" + std::to_string(index * size_bytes) + "," +
              std::to_string((index + 1) * size_bytes) + "]}";
  }
  header += "}";
  header.resize((header.size() + 8 + 63) / 64 * 64 - 8, ' ');  // elements begin at a multiple of 64
  return header;
}

int Write(const std::string& path, std::int64_t batch) {
  std::ofstream file(path, std::ios::binary);
  const std::string header = Header(batch);
  const auto size = static_cast<std::uint64_t>(header.size());
  file.write(reinterpret_cast<const char*>(&size), sizeof size);
  file.write(header.data(), static_cast<std::streamsize>(header.size()));
  std::vector<float> entry(kEntryElements);
  std::uint64_t number = 0;
  for (std::int64_t n = 0; n < static_cast<std::int64_t>(kNames.size()) * batch; ++n) {
    std::ranges::generate(entry, [&] { return Element(number++); });
    file.write(reinterpret_cast<const char*>(entry.data()), kEntrySizeBytes);
  }
  file.close();
  return file ? 0 : Fail(path + ": cannot be written");
}

// The entries from `first` on, computed into `output`.
absl::Status AttendToChunk(attnd::core::Engine& engine, const std::array<const Array*, 3>& tensors, std::int64_t first,
                           std::int64_t count, float* output) {
  const attnd::core::TensorDescription tensor{attnd::core::ElementType::kFloat32, {count, kHeads, kRows, kHeadSize}};
  const std::int64_t size_bytes = count * kEntrySizeBytes;
  attnd::core::ProblemDescription description;
  description.query = description.key = description.value = tensor;
  for (const auto input : {attnd::core::Input::kQuery, attnd::core::Input::kKey, attnd::core::Input::kValue}) {
    description.size_bytes[input] = size_bytes;
  }
  const auto problem = attnd::core::CheckProblem(description, {});
  if (!problem.ok()) return problem.status();
  const auto data = [&](const Array* array) { return array->bytes.data() + first * kEntrySizeBytes; };
  return engine
      .Run(*problem, {.query = data(tensors[0]), .key = data(tensors[1]), .value = data(tensors[2]), .output = output})
      .status();
}

absl::Status Check(const std::string& input_path, const std::string& output_path) {
  const auto input = attnd::cli::MappedFile::Open(input_path);
  if (!input.ok()) return input.status();
  const auto problem = attnd::cli::ParseSafetensors(input->bytes());
  if (!problem.ok()) return problem.status();
  const auto output_file = attnd::cli::MappedFile::Open(output_path);
  if (!output_file.ok()) return output_file.status();
  const auto output = attnd::cli::ParseNpy(output_file->bytes());
  if (!output.ok()) return output.status();

  std::array<const Array*, 3> tensors = {};
  std::ranges::transform(kNames, tensors.begin(), [&](const char* name) { return &problem->tensors.at(name); });
  if (output->shape != tensors[0]->shape) return absl::DataLossError("the output has another shape than the query");
  attnd::core::Engine engine({});
  std::vector<float> expected(kChunkEntries * kEntryElements);
  for (std::int64_t first = 0; first < output->shape[0]; first += kChunkEntries) {
    const std::int64_t count = std::min(kChunkEntries, output->shape[0] - first);
    if (absl::Status status = AttendToChunk(engine, tensors, first, count, expected.data()); !status.ok())
      return status;
    const std::int64_t size_bytes = count * kEntrySizeBytes;
    const std::int64_t offset_bytes = first * kEntrySizeBytes;
    if (std::memcmp(expected.data(), output->bytes.data() + offset_bytes, static_cast<std::size_t>(size_bytes)) != 0) {
      return absl::DataLossError("the output has other bits than the core's in the batch entries from " +
                                 std::to_string(first) + " to " + std::to_string(first + count));
    }
  }
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  std::int64_t batch = 0;
  if (arguments.size() == 3 && arguments[0] == "write" && absl::SimpleAtoi(arguments[2], &batch)) {
    return Write(arguments[1], batch);
  }
  if (arguments.size() != 3 || arguments[0] != "check") return Fail("see the comment in its source");
  const absl::Status status = Check(arguments[1], arguments[2]);
  return status.ok() ? 0 : Fail(status.ToString());
}

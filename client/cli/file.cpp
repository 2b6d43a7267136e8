#include "client/cli/file.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace attnd::cli {
namespace {

class FileDescriptor {
 public:
  explicit FileDescriptor(int number) : number_(number) {}
  ~FileDescriptor() {
    if (number_ >= 0) close(number_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

absl::Status WriteAll(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return absl::ErrnoToStatus(errno, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status WritePieces(const std::string& path, const std::vector<std::span<const std::byte>>& pieces) {
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.number() < 0) return absl::ErrnoToStatus(errno, "open");
  for (const auto& piece : pieces) {
    if (const absl::Status status = WriteAll(file.number(), piece); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MappedFile> MappedFile::Open(const std::string& path) {
  const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) return absl::ErrnoToStatus(errno, path);
  struct stat status{};
  if (fstat(file.number(), &status) != 0) return absl::ErrnoToStatus(errno, path);
  if (!S_ISREG(status.st_mode)) return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  if (status.st_size == 0) return MappedFile({});
  const auto size_bytes = static_cast<std::size_t>(status.st_size);
  void* const begin = mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE, file.number(), 0);
  if (begin == MAP_FAILED) return absl::ErrnoToStatus(errno, path);
  return MappedFile({static_cast<const std::byte*>(begin), size_bytes});
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

absl::Status WriteFile(const std::string& path, const std::vector<std::span<const std::byte>>& pieces) {
  const std::string partial = absl::StrCat(path, ".partial");
  absl::Status status = WritePieces(partial, pieces);
  if (status.ok() && std::rename(partial.c_str(), path.c_str()) != 0) status = absl::ErrnoToStatus(errno, "rename");
  if (status.ok()) return status;
  unlink(partial.c_str());
  return absl::Status(status.code(), absl::StrCat(path, ": cannot be written: ", status.message()));
}

}  // namespace attnd::cli

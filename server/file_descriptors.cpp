#include "server/file_descriptors.h"

#include <absl/strings/numbers.h>

#include <filesystem>
#include <system_error>

namespace attnd::server {

bool ForEachFileDescriptor(absl::FunctionRef<void(int)> visit) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
       entry.increment(error)) {
    int file_descriptor = -1;
    if (absl::SimpleAtoi(entry->path().filename().string(), &file_descriptor)) visit(file_descriptor);
  }
  return !error;
}

int OpenFileDescriptors() {
  int count = -1;  // reading the folder opens one more
  const bool listed = ForEachFileDescriptor([&count](int) { ++count; });
  return listed ? count : -1;
}

}  // namespace attnd::server

#include "client/cli/inputs.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

#include "client/cli/npy.h"
#include "client/cli/text.h"

namespace attnd::cli {
namespace {

// The same error, which then says in which file.
absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", Printable(std::string(status.message()))));
}

// The first of the names, and how many others there are.
std::string SomeNames(const std::map<std::string, Array>& tensors) {
  constexpr std::size_t kMaxNames = 12;
  if (tensors.empty()) return "none at all";
  const auto end = std::next(tensors.begin(), static_cast<std::ptrdiff_t>(std::min(tensors.size(), kMaxNames)));
  const auto append_name = [](std::string* out, const auto& entry) { out->append(Printable(entry.first)); };
  std::string names = absl::StrJoin(tensors.begin(), end, ", ", append_name);
  if (tensors.size() > kMaxNames) absl::StrAppend(&names, " and ", tensors.size() - kMaxNames, " others");
  return names;
}

}  // namespace

absl::StatusOr<Inputs> Inputs::Open(const std::string& path) {
  Inputs inputs;
  if (path.empty()) return inputs;
  if (IsNpy(path)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": is a .npy file, expected a safetensors file; a .npy file is named in a tensor's place"));
  }
  auto file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  auto content = ParseSafetensors(file->bytes());
  if (!content.ok()) return InFile(path, content.status());
  inputs.path_ = path;
  inputs.files_.push_back(*std::move(file));
  inputs.content_ = *std::move(content);
  return inputs;
}

absl::StatusOr<Array> Inputs::Get(const std::string& name) {
  if (!IsNpy(name)) {
    const auto found = content_.tensors.find(name);
    if (found != content_.tensors.end()) return found->second;
    if (path_.empty()) {
      return absl::NotFoundError(absl::StrCat("tensor \"", name,
                                              "\": there is no file to take it from; expected --input "
                                              "FILE, a safetensors file, or the name of a .npy file instead"));
    }
    return absl::NotFoundError(
        absl::StrCat(path_, ": has no tensor \"", name, "\", but ", SomeNames(content_.tensors)));
  }
  auto file = MappedFile::Open(name);
  if (!file.ok()) return file.status();
  auto array = ParseNpy(file->bytes());
  if (!array.ok()) return InFile(name, array.status());
  files_.push_back(*std::move(file));
  return array;
}

bool IsNpy(const std::string& name) { return absl::EndsWith(name, ".npy"); }

}  // namespace attnd::cli

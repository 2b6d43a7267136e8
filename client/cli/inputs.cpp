#include "client/cli/inputs.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <utility>

#include "client/cli/npy.h"
#include "client/cli/text.h"

namespace attnd::cli {
namespace {

// The same error, which then says in which file.
absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", Printable(std::string(status.message()))));
}

}  // namespace

absl::StatusOr<Inputs> Inputs::Open(const std::string& path) {
  Inputs inputs;
  if (path.empty()) return inputs;
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
      return absl::NotFoundError(absl::StrCat("tensor \"", name, "\": no input file was given to take it from"));
    }
    const auto append_name = [](std::string* out, const auto& entry) { out->append(Printable(entry.first)); };
    return absl::NotFoundError(absl::StrCat(path_, ": has no tensor \"", name, "\", but ",
                                            absl::StrJoin(content_.tensors, ", ", append_name)));
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

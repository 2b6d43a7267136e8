// The tensors that a command line names.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <list>
#include <map>
#include <string>

#include "client/cli/array.h"
#include "client/cli/file.h"
#include "client/cli/safetensors.h"

namespace attnd::cli {

// A name that ends in ".npy" is a file; any other one is a tensor of the safetensors file. Arrays that it gives borrow
// its memory.
class Inputs {
 public:
  // `path` may be empty: then there are only .npy files. An error has the path in its text.
  static absl::StatusOr<Inputs> Open(const std::string& path);

  // NOT_FOUND, with the names that there are, where the file has no such tensor.
  absl::StatusOr<Array> Get(const std::string& name);

  const std::map<std::string, Array>& tensors() const { return content_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return content_.metadata; }

 private:
  std::string path_;
  std::list<MappedFile> files_;
  Safetensors content_;
};

bool IsNpy(const std::string& name);

}  // namespace attnd::cli

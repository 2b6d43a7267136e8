// ONNX's cases as attention.safetensors holds them; make_vectors.py wrote it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/array.h"
#include "client/cli/file.h"

namespace attnd::test {

// What ONNX gives its operator Attention, by ONNX's names, and what it expects of it. Arrays borrow the file's bytes.
struct OnnxCase {
  std::string name;
  std::int64_t opset = 0;
  double rtol = 0;
  double atol = 0;
  // All of the operator's attributes are numbers.
  std::map<std::string, double> attributes;
  std::map<std::string, cli::Array> inputs;
  std::map<std::string, cli::Array> outputs;

  std::optional<double> Attribute(const std::string& name) const;
  // Absent where the case leaves it out.
  const cli::Array* Input(const std::string& name) const;
};

struct OnnxCases {
  cli::MappedFile file;
  std::vector<OnnxCase> cases;
};

// Throws where the file is not what it should be, which fails the test.
OnnxCases LoadOnnxCases();

}  // namespace attnd::test

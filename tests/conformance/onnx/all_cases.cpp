#include "tests/conformance/onnx/all_cases.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <map>
#include <string>

namespace attnd::test {
namespace {

// ONNX's own, of its backend tests' assert_similar_outputs: two units in the last place of a bfloat16 are allowed.
// A float16 output has one (0.001), which is what lies between two ways to round once; where the service multiplies in
// float16 itself, which rounds the weights as well, we allow two there too.
double RelativeTolerance(const OnnxCase& onnx, cli::DataType type, const std::string& kernel) {
  if (type == cli::DataType::kBfloat16) return std::max(onnx.rtol, std::ldexp(1, -6));
  if (type == cli::DataType::kFloat16 && kernel.ends_with("-float16")) return std::max(onnx.rtol, std::ldexp(1, -9));
  return onnx.rtol;
}

// As numpy's assert_allclose: an infinity or NaN only where the other has the same.
bool IsClose(double found, double expected, double rtol, double atol) {
  if (std::isnan(expected)) return std::isnan(found);
  if (std::isinf(expected)) return found == expected;
  return std::abs(found - expected) <= atol + rtol * std::abs(expected);
}

// Empty where they agree, or else the first difference.
std::string Difference(const cli::Array& found, const cli::Array& expected, double rtol, double atol) {
  if (found.type != expected.type || found.shape != expected.shape) {
    return absl::StrCat(cli::DataTypeName(found.type), " ", ToString(found.shape), " found, ",
                        cli::DataTypeName(expected.type), " ", ToString(expected.shape), " expected");
  }
  for (std::int64_t n = 0; n < expected.element_count(); ++n) {
    const double found_element = cli::ElementAsFloat64(found, n);
    const double expected_element = cli::ElementAsFloat64(expected, n);
    if (!IsClose(found_element, expected_element, rtol, atol)) {
      return absl::StrCat("element ", n, ": ", found_element, " found, ", expected_element, " expected");
    }
  }
  return "";
}

// Empty where all outputs hold.
std::string FirstFailure(const OnnxCase& onnx, const AnswerCall& answer_call) {
  const AttentionCall call = ToCall(onnx);
  const AttentionCallAnswer answer = answer_call(call);
  const std::map<std::string, HeldArray> outputs = ToOnnxOutputs(onnx, call, answer);
  for (const auto& [name, expected] : onnx.outputs) {
    const double rtol = RelativeTolerance(onnx, expected.type, answer.kernel);
    const std::string difference = Difference(outputs.at(name).view(), expected, rtol, onnx.atol);
    if (!difference.empty()) return absl::StrCat(name, ": ", difference);
  }
  return "";
}

}  // namespace

void ExpectAllOnnxCases(const AnswerCall& answer) {
  const OnnxCases loaded = LoadOnnxCases();
  EXPECT_FALSE(loaded.cases.empty());
  std::size_t held = 0;
  for (const OnnxCase& onnx : loaded.cases) {
    std::string failure;
    try {
      failure = FirstFailure(onnx, answer);
    } catch (const std::exception& error) {
      failure = error.what();
    }
    EXPECT_EQ(failure, "") << "opset " << onnx.opset << ", " << onnx.name;
    if (failure.empty()) ++held;
  }
  std::printf("%zu of %zu ONNX cases\n", held, loaded.cases.size());
}

}  // namespace attnd::test

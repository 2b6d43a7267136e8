// Numbers as the command line gives them. An error has the option's name in its text, what was found and what was
// expected.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace attnd::cli {

// Whether a text is made of what lists of numbers are made of; otherwise it names a tensor.
bool IsListOfIntegers(const std::string& text);
bool IsListOfNumbers(const std::string& text);

// "15,-9,12". `expected` says what there should be in an error's text.
absl::StatusOr<std::vector<std::int64_t>> ParseIntegers(const std::string& option, const std::string& text,
                                                        const std::string& expected);

// "0-3,7": numbers from 0, and ranges of them, both ends included. At most 16 Mi numbers.
absl::StatusOr<std::vector<std::int64_t>> ParseRanges(const std::string& option, const std::string& text);

// "0.5,-2,-inf".
absl::StatusOr<std::vector<float>> ParseNumbers(const std::string& option, const std::string& text);

// "32x64", rows by columns.
absl::StatusOr<std::pair<std::int64_t, std::int64_t>> ParseGrid(const std::string& option, const std::string& text);

}  // namespace attnd::cli

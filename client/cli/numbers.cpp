#include "client/cli/numbers.h"

#include <absl/status/status.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>

namespace attnd::cli {
namespace {

constexpr std::size_t kMostNumbers = std::size_t{1} << 24;

absl::Status Unexpected(const std::string& option, absl::string_view found, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(option, ": \"", found, "\" found, expected ", expected));
}

// "7" or "0-3".
bool ParseRange(absl::string_view text, std::int64_t& first, std::int64_t& last) {
  const std::vector<absl::string_view> ends = absl::StrSplit(text, absl::MaxSplits('-', 1));
  if (!absl::SimpleAtoi(ends.front(), &first) || !absl::SimpleAtoi(ends.back(), &last)) return false;
  return first >= 0 && first <= last;
}

}  // namespace

bool IsListOfIntegers(const std::string& text) { return text.find_first_not_of("0123456789-, ") == std::string::npos; }

bool IsListOfNumbers(const std::string& text) {
  return text.find_first_not_of("0123456789-+.einf, ") == std::string::npos;
}

absl::StatusOr<std::vector<std::int64_t>> ParseIntegers(const std::string& option, const std::string& text,
                                                        const std::string& expected) {
  std::vector<std::int64_t> numbers;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    if (!absl::SimpleAtoi(part, &numbers.emplace_back())) return Unexpected(option, text, expected);
  }
  return numbers;
}

absl::StatusOr<std::vector<std::int64_t>> ParseRanges(const std::string& option, const std::string& text) {
  std::vector<std::int64_t> numbers;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    std::int64_t first = 0;
    std::int64_t last = 0;
    if (!ParseRange(part, first, last)) return Unexpected(option, text, "numbers and ranges like 0-3,7");
    if (static_cast<std::size_t>(last - first) >= kMostNumbers - numbers.size()) {
      return Unexpected(option, text, absl::StrCat("at most ", kMostNumbers, " numbers"));
    }
    for (std::int64_t number = first; number <= last; ++number) numbers.push_back(number);
  }
  return numbers;
}

absl::StatusOr<std::vector<float>> ParseNumbers(const std::string& option, const std::string& text) {
  std::vector<float> numbers;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    if (!absl::SimpleAtof(part, &numbers.emplace_back())) {
      return Unexpected(option, text, "a list of numbers like 0.5,0.25 or a tensor");
    }
  }
  return numbers;
}

absl::StatusOr<std::pair<std::int64_t, std::int64_t>> ParseGrid(const std::string& option, const std::string& text) {
  const std::vector<absl::string_view> sides = absl::StrSplit(text, 'x');
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  if (sides.size() != 2 || !absl::SimpleAtoi(sides[0], &rows) || !absl::SimpleAtoi(sides[1], &columns)) {
    return Unexpected(option, text, "rows and columns like 32x64");
  }
  return std::pair(rows, columns);
}

}  // namespace attnd::cli

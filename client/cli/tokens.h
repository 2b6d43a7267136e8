// The tokens that attention is about, as labels of its queries and keys.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/inputs.h"

namespace attnd::cli {

// Where they are. A file holds a JSON list of strings, a JSON list of such lists, one for each batch entry, or is plain
// text with one token a line.
struct TokenSources {
  std::string metadata;  // a key of the metadata: a JSON list of lists; passed over where the file has none
  std::string file;      // of the queries, and without key_file of the keys; taken instead of the metadata
  std::string key_file;
};

// Of one batch entry. Empty where nothing says them.
struct Tokens {
  std::vector<std::string> queries;
  // Empty: as the queries'.
  std::optional<std::vector<std::string>> keys;
  // Who gave them, for errors; empty for the metadata's, which are left aside where their number is another.
  std::string queries_from;
  std::string keys_from;

  const std::vector<std::string>& of_keys() const { return keys ? *keys : queries; }
};

struct Labels {
  std::vector<std::string> queries;
  std::vector<std::string> keys;
};

// INVALID_ARGUMENT where they are no lists of text, or have none for this batch entry; NOT_FOUND and so on where a file
// cannot be read.
absl::StatusOr<Tokens> ReadTokens(const Inputs& inputs, const TokenSources& sources, std::int64_t batch);

// One label for each query and key: tokens where there are as many, else numbers. One list for both sides labels those
// that it has as many tokens as. INVALID_ARGUMENT where a file was named and its tokens are another number.
absl::StatusOr<Labels> LabelsFor(const Tokens& tokens, std::int64_t queries, std::int64_t keys);

}  // namespace attnd::cli

#include "client/cli/tokens.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "client/cli/file.h"

namespace attnd::cli {
namespace {

using Json = nlohmann::json;
using Strings = std::vector<std::string>;

absl::StatusOr<Strings> ToStrings(const Json& list, const std::string& source) {
  Strings strings;
  for (const Json& item : list) {
    if (!item.is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(source, ": a token is no string, but JSON ", item.type_name()));
    }
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

// The batch entry's list of a list of lists.
absl::StatusOr<Strings> EntryOf(const Json& lists, std::int64_t batch, const std::string& source) {
  const auto malformed = [&](const std::string& what) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": ", what, ", expected a JSON list of lists of strings"));
  };
  if (!lists.is_array()) return malformed("no JSON list");
  const auto entry = static_cast<std::size_t>(batch);
  if (entry >= lists.size()) {
    return malformed(absl::StrCat("has ", lists.size(), " lists, none for batch entry ", batch));
  }
  if (!lists[entry].is_array()) return malformed(absl::StrCat("entry ", batch, " is no list"));
  return ToStrings(lists[entry], source);
}

Strings Lines(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  Strings lines = absl::StrSplit(std::string(text), '\n');
  for (std::string& line : lines) {
    if (line.ends_with('\r')) line.pop_back();
  }
  return lines;
}

absl::StatusOr<Strings> ReadFile(const std::string& path, std::int64_t batch) {
  const auto file = MappedFile::Open(path);
  if (!file.ok()) return file.status();
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_array()) {
    return json.empty() || json[0].is_array() ? EntryOf(json, batch, path) : ToStrings(json, path);
  }
  if (absl::EndsWith(path, ".json")) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": no JSON list, expected one of strings or of lists of them"));
  }
  return Lines(text);
}

Strings Numbers(std::int64_t count) {
  Strings numbers;
  for (std::int64_t i = 0; i < count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

bool AreAsMany(const Strings& tokens, std::int64_t count) { return static_cast<std::int64_t>(tokens.size()) == count; }

absl::Status WrongCount(const std::string& source, const Strings& tokens, std::int64_t count, const char* what) {
  return absl::InvalidArgumentError(
      absl::StrCat(source, ": ", tokens.size(), " tokens found, ", count, " (the number of ", what, ") expected"));
}

}  // namespace

absl::StatusOr<Tokens> ReadTokens(const Inputs& inputs, const TokenSources& sources, std::int64_t batch) {
  Tokens tokens{.queries = {}, .keys = {}, .queries_from = sources.file, .keys_from = sources.key_file};
  absl::StatusOr<Strings> queries = Strings();
  const auto metadata = inputs.metadata().find(sources.metadata);
  if (!sources.file.empty()) {
    queries = ReadFile(sources.file, batch);
  } else if (metadata != inputs.metadata().end()) {
    queries = EntryOf(Json::parse(metadata->second, nullptr, /*allow_exceptions=*/false), batch,
                      absl::StrCat("metadata \"", sources.metadata, "\""));
  }
  if (!queries.ok()) return queries.status();
  tokens.queries = *std::move(queries);
  if (!sources.key_file.empty()) {
    auto keys = ReadFile(sources.key_file, batch);
    if (!keys.ok()) return keys.status();
    tokens.keys = *std::move(keys);
  }
  return tokens;
}

absl::StatusOr<Labels> LabelsFor(const Tokens& tokens, std::int64_t queries, std::int64_t keys) {
  const bool labels_queries = AreAsMany(tokens.queries, queries);
  const bool labels_keys = AreAsMany(tokens.of_keys(), keys);
  if (!tokens.queries_from.empty() && !labels_queries && (tokens.keys || !labels_keys)) {
    return WrongCount(tokens.queries_from, tokens.queries, queries, "queries");
  }
  if (tokens.keys && !labels_keys) return WrongCount(tokens.keys_from, *tokens.keys, keys, "keys");
  return Labels{.queries = labels_queries ? tokens.queries : Numbers(queries),
                .keys = labels_keys ? tokens.of_keys() : Numbers(keys)};
}

}  // namespace attnd::cli

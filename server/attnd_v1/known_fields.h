// Refuses what this build does not know: an option that is silently ignored would be a wrong answer.
#pragma once

#include <absl/status/status.h>
#include <absl/strings/string_view.h>
#include <google/protobuf/message.h>

namespace attnd::server::attnd_v1 {

// INVALID_ARGUMENT where the message, or a message in it at any level, holds a field whose number its type does not
// have, a field that came with a wrong wire type, or an enumeration value that has no name. `path` is how the message
// is spelled in the text, for example "problem"; empty for a request itself.
absl::Status CheckKnownFields(const google::protobuf::Message& message, absl::string_view path);

// The refusal of one field of a message of this type.
absl::Status UnknownField(const google::protobuf::Descriptor& type, absl::string_view path, int number);

}  // namespace attnd::server::attnd_v1

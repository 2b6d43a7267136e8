#include "server/attnd_v1/known_fields.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <string>
#include <vector>

namespace attnd::server::attnd_v1 {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string Join(absl::string_view path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

absl::Status CheckEnumerationValue(const FieldDescriptor& field, int number, absl::string_view path) {
  if (field.enum_type()->FindValueByNumber(number) != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, ": value ", number,
                                                 " found, which this server does not know; a value of ",
                                                 field.enum_type()->full_name(), " expected"));
}

// `index` is -1 for a field that is not repeated.
absl::Status CheckElement(const Message& message, const FieldDescriptor& field, int index, absl::string_view path) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = index >= 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return CheckEnumerationValue(
          field,
          repeated ? reflection.GetRepeatedEnumValue(message, &field, index) : reflection.GetEnumValue(message, &field),
          path);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return CheckKnownFields(
          repeated ? reflection.GetRepeatedMessage(message, &field, index) : reflection.GetMessage(message, &field),
          path);
    default:
      return absl::OkStatus();
  }
}

bool HasUncheckedContents(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM || field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

absl::Status CheckField(const Message& message, const FieldDescriptor& field, const std::string& path) {
  if (!field.is_repeated()) return CheckElement(message, field, -1, path);
  const int size = message.GetReflection()->FieldSize(message, &field);
  for (int i = 0; i < size; ++i) {
    if (absl::Status status = CheckElement(message, field, i, absl::StrCat(path, "[", i, "]")); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckKnownFields(const Message& message, absl::string_view path) {
  const Reflection& reflection = *message.GetReflection();
  const google::protobuf::UnknownFieldSet& unknown = reflection.GetUnknownFields(message);
  if (!unknown.empty()) return UnknownField(*message.GetDescriptor(), path, unknown.field(0).number());
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (!HasUncheckedContents(*field)) continue;
    if (absl::Status status = CheckField(message, *field, Join(path, field->name())); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status UnknownField(const google::protobuf::Descriptor& type, absl::string_view path, int number) {
  const FieldDescriptor* known = type.FindFieldByNumber(number);
  if (known != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(Join(path, known->name()), ": field ", number, " of ",
                                                   type.full_name(), " found with another wire type than that of ",
                                                   known->type_name()));
  }
  return absl::InvalidArgumentError(absl::StrCat(path.empty() ? "request" : path, ": field ", number, " of ",
                                                 type.full_name(), " found, which this server does not know"));
}

}  // namespace attnd::server::attnd_v1

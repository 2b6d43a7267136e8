#include "tests/server/attnd_v1/every_field.h"

#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.h>

#include <stdexcept>
#include <vector>

namespace attnd::test {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// In the field's own type; `next` grows with each.
void Give(Message& message, const FieldDescriptor& field, int& next);

void GiveAll(Message& message, int& next) {
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    for (int element = 0; element < (type.field(i)->is_repeated() ? 2 : 1); ++element) {
      Give(message, *type.field(i), next);
    }
  }
}

template <typename Set, typename Add, typename Number>
void SetOrAdd(Message& message, const FieldDescriptor& field, Set set, Add add, Number number) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    (reflection.*add)(&message, &field, number);
  } else {
    (reflection.*set)(&message, &field, number);
  }
}

void Give(Message& message, const FieldDescriptor& field, int& next) {
  const Reflection& reflection = *message.GetReflection();
  ++next;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return GiveAll(*reflection.MutableMessage(&message, &field), next);
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnum(&message, &field, field.enum_type()->value(field.enum_type()->value_count() - 1));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(&message, &field, absl::StrCat("bytes ", next));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(&message, &field, true);
    case FieldDescriptor::CPPTYPE_INT64:
      return SetOrAdd(message, field, &Reflection::SetInt64, &Reflection::AddInt64, next);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return SetOrAdd(message, field, &Reflection::SetDouble, &Reflection::AddDouble, next);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return SetOrAdd(message, field, &Reflection::SetFloat, &Reflection::AddFloat, static_cast<float>(next));
    default:
      throw std::logic_error(absl::StrCat("no number for ", field.full_name()));
  }
}

void Visit(Message& message, const std::string& path,
           const std::function<void(Message&, const std::string& path)>& visit) {
  visit(message, path);
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    Visit(*reflection.MutableMessage(&message, field), absl::StrCat(path, path.empty() ? "" : ".", field->name()),
          visit);
  }
}

}  // namespace

void FillEveryField(Message& message) {
  int next = 0;
  GiveAll(message, next);
}

void VisitMessages(Message& message, const std::function<void(Message&, const std::string& path)>& visit) {
  Visit(message, "", visit);
}

}  // namespace attnd::test

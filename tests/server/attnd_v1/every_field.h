// Messages of which every field is given, whatever fields the interface has or gains.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <string>

namespace attnd::test {

// Gives every field at every level: numbers and bytes that differ from each other, the last value of each enumeration,
// two elements of what is repeated.
void FillEveryField(google::protobuf::Message& message);

// Visits every message in the message, itself first, with its path as refusals spell it: "" for itself.
void VisitMessages(google::protobuf::Message& message,
                   const std::function<void(google::protobuf::Message&, const std::string& path)>& visit);

}  // namespace attnd::test

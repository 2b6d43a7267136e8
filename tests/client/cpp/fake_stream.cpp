#include "tests/client/cpp/fake_stream.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace attnd::test {
namespace {

// The request's field that a part belongs to, and how long it gets.
std::pair<std::string*, std::int64_t> Find(v1::TensorName name, const v1::StreamStart& start,
                                           v1::AttendRequest& request) {
  switch (name) {
    case v1::TENSOR_NAME_QUERY:
      return {request.mutable_query_data(), start.query_size_bytes()};
    case v1::TENSOR_NAME_KEY:
      return {request.mutable_key_data(), start.key_size_bytes()};
    case v1::TENSOR_NAME_VALUE:
      return {request.mutable_value_data(), start.value_size_bytes()};
    case v1::TENSOR_NAME_MASK:
      return {request.mutable_mask_data(), start.mask_size_bytes()};
    default:
      return {nullptr, 0};
  }
}

std::int64_t SizeBytes(const v1::StreamStart& start) {
  return start.query_size_bytes() + start.key_size_bytes() + start.value_size_bytes() + start.mask_size_bytes();
}

std::int64_t SizeBytes(const v1::AttendRequest& request) {
  return static_cast<std::int64_t>(request.query_data().size() + request.key_data().size() +
                                   request.value_data().size() + request.mask_data().size());
}

std::optional<double> Timeout(const v1::StreamAttendRequest& message) {
  return message.has_timeout_seconds() ? std::optional(message.timeout_seconds()) : std::nullopt;
}

}  // namespace

std::optional<StreamedRequest> FakeStream::Next() {
  v1::StreamAttendRequest message;
  while (stream_.Read(&message)) {
    const std::uint64_t id = message.id();
    if (message.has_request() || message.has_start()) {
      EXPECT_GT(id, last_id_) << "ids must increase";
      last_id_ = id;
    } else {
      EXPECT_LE(id, last_id_) << "a request begins with a part or a cancellation";
    }
    if (message.has_request()) {
      return StreamedRequest{.id = id, .request = message.request(), .timeout_seconds = Timeout(message)};
    }
    if (message.has_start()) {
      StreamedRequest request{.id = id, .request = {}, .timeout_seconds = Timeout(message), .came_in_parts = true};
      *request.request.mutable_problem() = message.start().problem();
      starts_[id] = message.start();
      if (SizeBytes(message.start()) == 0) return request;
      arriving_[id] = std::move(request);
    } else if (message.has_cancel()) {
      arriving_.erase(id);
      return StreamedRequest{.id = id, .request = {}, .timeout_seconds = {}, .is_cancelled = true};
    } else if (const auto found = arriving_.find(id); found != arriving_.end()) {
      if (!Add(message.part(), starts_[id], found->second)) continue;
      return std::move(arriving_.extract(found).mapped());
    }
  }
  return std::nullopt;
}

bool FakeStream::Add(const v1::TensorPart& part, const v1::StreamStart& start, StreamedRequest& request) {
  const auto [data, size_bytes] = Find(part.tensor(), start, request.request);
  if (data == nullptr) {
    ADD_FAILURE() << "a part of " << v1::TensorName_Name(part.tensor());
    return false;
  }
  EXPECT_EQ(part.offset_bytes(), static_cast<std::int64_t>(data->size()));
  EXPECT_FALSE(part.data().empty());
  data->append(part.data());
  EXPECT_LE(static_cast<std::int64_t>(data->size()), size_bytes);
  return SizeBytes(request.request) == SizeBytes(start);
}

void FakeStream::Answer(const StreamedRequest& request, std::size_t part_bytes) {
  v1::StreamAttendResponse message;
  message.set_id(request.id);
  if (!request.came_in_parts) {
    *message.mutable_response()->mutable_result()->mutable_output() = request.request.problem().query();
    message.mutable_response()->set_output_data(request.request.query_data());
  } else {
    *message.mutable_result()->mutable_output() = request.request.problem().query();
    stream_.Write(message);
    const std::string& output = request.request.query_data();
    for (std::size_t begin = 0; begin < output.size(); begin += part_bytes) {
      v1::TensorPart& part = *message.mutable_part();
      part.set_tensor(v1::TENSOR_NAME_OUTPUT);
      part.set_offset_bytes(static_cast<std::int64_t>(begin));
      part.set_data(output.substr(begin, part_bytes));
      if (begin + part_bytes < output.size()) stream_.Write(message);
    }
  }
  message.mutable_status();
  stream_.Write(message);
}

void FakeStream::Refuse(std::uint64_t id, grpc::StatusCode code, const std::string& text) {
  v1::StreamAttendResponse message;
  message.set_id(id);
  message.mutable_status()->set_code(code);
  message.mutable_status()->set_message(text);
  stream_.Write(message);
}

grpc::Status AnswerStream(grpc::ServerContext&, MessageStream& messages) {
  FakeStream stream(messages);
  while (const auto request = stream.Next()) {
    if (!request->is_cancelled) stream.Answer(*request);
  }
  return grpc::Status::OK;
}

FakeServerOptions WithStream(StreamHandler handler) {
  FakeServerOptions options;
  options.stream = std::move(handler);
  return options;
}

}  // namespace attnd::test

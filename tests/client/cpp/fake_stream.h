// The server's end of a stream, for handlers of a FakeServer.
#pragma once

#include <attnd/v1/attention.pb.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "tests/client/cpp/fake_server.h"

namespace attnd::test {

// A request that has arrived whole, or its cancellation.
struct StreamedRequest {
  std::uint64_t id = 0;
  v1::AttendRequest request;
  std::optional<double> timeout_seconds;
  bool came_in_parts = false;
  bool is_cancelled = false;
};

class FakeStream {
 public:
  explicit FakeStream(MessageStream& stream) : stream_(stream) {}

  // Waits for the next request that is whole, or a cancellation; nothing where the client has half-closed. A message
  // that breaks the interface's rules is a failure of the test.
  std::optional<StreamedRequest> Next();

  // Answers with the query as the output: whole to a whole request, else in parts of `part_bytes`.
  void Answer(const StreamedRequest& request, std::size_t part_bytes = 1000);

  // Ends a request with an error.
  void Refuse(std::uint64_t id, grpc::StatusCode code, const std::string& message);

 private:
  // True where the message makes its request whole.
  bool Add(const v1::TensorPart& part, const v1::StreamStart& start, StreamedRequest& request);

  MessageStream& stream_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, v1::StreamStart> starts_;
  std::map<std::uint64_t, StreamedRequest> arriving_;
};

// Answers every request with its query until the client half-closes. Skips cancelled ones.
grpc::Status AnswerStream(grpc::ServerContext& context, MessageStream& stream);

// A server with streams that does so, or what `handler` does.
FakeServerOptions WithStream(StreamHandler handler = AnswerStream);

}  // namespace attnd::test

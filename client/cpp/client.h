// Start here: a client of attnd.
//
//   attnd::Client client("127.0.0.1:50051");
//   auto result = client.Attend({.query = q, .key = k, .value = v}, {.deadline = absl::Now() + absl::Seconds(10)});
//
// example.cpp beside this file is a whole program; attention.h has what a request and its result hold. In a process
// that has made a client, abseil does not look for cycles of locks where this is compiled with NDEBUG (channel.cpp says
// why).
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/cpp/attention.h"

namespace attnd {

struct ServerInfo {
  struct Kernel {
    std::string element_type;  // "float32", "bfloat16" … or its number where this client does not know it
    std::string kernel;
  };

  std::string version;
  std::string onednn_version;
  std::vector<std::string> instruction_sets_found;
  std::string onednn_instruction_set;
  std::string vector_instruction_set;
  std::int32_t worker_count = 0;
  std::int64_t max_message_bytes = 0;
  std::int64_t max_in_flight_bytes = 0;
  std::int64_t max_head_size = 0;
  std::int32_t max_stream_requests = 0;
  std::int64_t max_stream_bytes = 0;
  double stream_stall_seconds = 0;
  std::vector<Kernel> kernels;
  std::vector<std::string> options;
};

// What grpc.health.v1 says.
enum class Health : std::uint8_t { kUnknown, kServing, kNotServing };

struct CallOptions {
  // When it has passed, a call ends with DEADLINE_EXCEEDED.
  absl::Time deadline = absl::InfiniteFuture();
};

struct ClientOptions {
  // How long a connection on which a call waits may be silent before the server is asked whether it is still there, and
  // how long it then has to answer, or to take bytes that were sent. After that, calls on the connection end with
  // UNAVAILABLE.
  absl::Duration keepalive_time = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(20);
};

class CallState;
class LargeCall;

// One call on its way. Movable. Only Cancel may be called from another thread than the other functions, and only while
// the call lives.
class AttendCall {
 public:
  AttendCall(AttendCall&&) noexcept;
  AttendCall& operator=(AttendCall&&) noexcept;
  // Cancels, and waits until nothing reads the request's memory any more.
  ~AttendCall();

  // Lets the call end with CANCELLED, unless it is done.
  void Cancel();

  // Whether the call was done at that time or before. A done call no longer reads the request's memory.
  bool WaitUntil(absl::Time time);

  // Waits until the call is done and gives its result. At most once. Errors as Client::Attend.
  absl::StatusOr<AttendResult> Take();

 private:
  friend class AttendStream;
  friend class Client;
  explicit AttendCall(std::unique_ptr<CallState> state);

  std::unique_ptr<CallState> state_;
};

// How much may be on its way on a stream before Attend waits.
struct StreamOptions {
  int max_requests_in_flight = 64;
  // Bytes of the requests' tensors. A request that is larger goes alone.
  std::int64_t max_bytes_in_flight = std::int64_t{256} << 20;
};

// Many calls on one stream to one server: cheaper for small problems than a call of its own each, and problems may be
// larger than a message, whose tensors then go in parts. Thread-safe. Movable while nobody uses it. Its calls may
// outlive it.
//
// What fails because the server goes away (UNAVAILABLE) is sent again to another one, or to the same when it is back,
// as Client does: up to five times within two seconds.
class AttendStream {
 public:
  AttendStream(AttendStream&&) noexcept;
  AttendStream& operator=(AttendStream&&) noexcept;
  // The stream ends when its last call is done.
  ~AttendStream();

  // Sends a request, after waiting while as much is on its way as StreamOptions lets be; whoever came first goes first.
  // Past the deadline that wait ends the call with DEADLINE_EXCEEDED. For memory and errors see Client::AttendAsync.
  AttendCall Attend(const AttendRequest& request, const CallOptions& options = {});

 private:
  friend class Client;
  friend class LargeCall;
  class Impl;
  explicit AttendStream(std::shared_ptr<Impl> impl);

  std::shared_ptr<Impl> impl_;
};

// Thread-safe: any number of threads may call at once, and all calls share one connection to each server. Calls may
// outlive the client. What fails because a server is away (UNAVAILABLE) is tried up to five times within two seconds;
// a call changes nothing on the server, so trying again is safe. Where the address gives several servers, calls go
// round those whose health is SERVING.
class Client {
 public:
  // `address` as gRPC takes it: "HOST:PORT", "dns:///HOST:PORT", "ipv4:IP:PORT,IP:PORT", "unix:PATH" … Connections are
  // made when the first call needs them, in the clear. A loopback address is not reached through an HTTP proxy of the
  // environment.
  explicit Client(const std::string& address, const ClientOptions& options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Computes attention and waits for it. An error has the server's code and text; beside those, INVALID_ARGUMENT where
  // a view is no tensor, RESOURCE_EXHAUSTED where this machine has no memory for the result, INTERNAL where an answer
  // contradicts itself.
  //
  // A problem of any size: what the server does not take as one message each way (it is asked once in a while, for
  // problems from 1 MiB on) is cut into pieces, which are sent on a stream, a few at a time; the first that fails ends
  // the call. Pieces are batch entries, heads and query rows, and the result has the same bits as that of the whole.
  // Only where the keys and values of one head do not fit beside 64 query rows they are cut too, and the results for
  // them merged by their log-sum-exp, in float32 or better: as near to the exact result as the whole's, but not the
  // same bits. Ragged batches and requests for summaries are not cut: where they are large they travel on a stream in
  // parts, of whatever size. Neither is a request that contradicts itself.
  //
  // When it returns, nothing reads the request's memory any more, whatever the result. So it can return later than the
  // deadline: where a server has stopped to take bytes, by at most keepalive_timeout.
  absl::StatusOr<AttendResult> Attend(const AttendRequest& request, const CallOptions& options = {});

  // The same without waiting. The memory that the request's views refer to must stay until the call is done or
  // destroyed; the request itself need not.
  AttendCall AttendAsync(const AttendRequest& request, const CallOptions& options = {});

  // A stream for many calls. It connects with its first call, and may outlive the client.
  AttendStream OpenStream(const StreamOptions& options = {});

  // Merges the results over disjoint ranges of keys, at least one, into the result over all of them. Sinks belong in
  // one of them only. An error has the server's code and text; beside those, INVALID_ARGUMENT where a view is no tensor
  // or not of the first part's type and shape, RESOURCE_EXHAUSTED where all together are no message or this machine has
  // no memory, INTERNAL where an answer contradicts itself.
  absl::StatusOr<MergedResult> MergePartials(const std::vector<PartialResult>& parts, const CallOptions& options = {});

  absl::StatusOr<ServerInfo> GetServerInfo(const CallOptions& options = {});

  // Asks one server for the health of all its services. It is not retried. Errors: UNAVAILABLE where none can be
  // reached, UNIMPLEMENTED where it does not tell.
  absl::StatusOr<Health> CheckHealth(const CallOptions& options = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attnd

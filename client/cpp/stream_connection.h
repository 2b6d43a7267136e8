// One gRPC call of StreamAttend.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/status.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>

#include <cstdint>
#include <memory>

namespace attnd {

class StreamConnection;

// Whose connection it is. Its functions are called on gRPC's threads and on those that call Wake: Next by one at a
// time, the others one after the other.
class ConnectionOwner {
 public:
  enum class Next : std::uint8_t {
    kMessage,  // that was put into `message`
    kNothing,  // until Wake
    kEnd,      // never again
  };

  virtual ~ConnectionOwner() = default;
  virtual Next NextMessage(StreamConnection& connection, grpc::ByteBuffer& message) = 0;
  // An error ends the connection.
  virtual absl::Status OnMessage(StreamConnection& connection, grpc::ByteBuffer& message) = 0;
  // Is called last, once.
  virtual void OnEnd(StreamConnection& connection, const absl::Status& status) = 0;
};

// Reads always, and writes what its owner has. It lives until it has ended, and keeps its owner as long.
class StreamConnection final : private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  static std::shared_ptr<StreamConnection> Create(grpc::GenericStub& stub, std::shared_ptr<ConnectionOwner> owner);

  // Once; before it, nothing is called.
  void Start() { StartCall(); }

  // The owner has something to send, or nothing ever again. Thread-safe; not under a lock that the owner's functions
  // take.
  void Wake();

 private:
  explicit StreamConnection(std::shared_ptr<ConnectionOwner> owner) : owner_(std::move(owner)) {}

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnWritesDoneDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  void Write();
  void StopWriting();

  // What is being read or written, and by whom, changes hands as gRPC's callbacks come.
  grpc::ClientContext context_;
  grpc::ByteBuffer written_;
  grpc::ByteBuffer read_;
  absl::Status broken_;  // why this side ended the connection
  std::shared_ptr<ConnectionOwner> owner_;
  std::shared_ptr<StreamConnection> self_;

  absl::Mutex mutex_;
  // Somebody is in Write, or gRPC has a message.
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool was_woken_ ABSL_GUARDED_BY(mutex_) = false;
  // Nothing can be written any more. With is_writing_ false as well, gRPC's call is let go of.
  bool is_over_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attnd

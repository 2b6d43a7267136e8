// A gRPC server that computes nothing: what gRPC itself costs. It takes messages as attnd does and drops them, and
// answers each with as many bytes as the method's name says: /unary/BYTES for one message a call, /stream/BYTES for any
// number.
//
//   attnd_echo_server ADDRESS
//
// Prints the address at which it serves, and ends with its standard input.
#include <absl/base/thread_annotations.h>
#include <absl/strings/numbers.h>
#include <absl/strings/strip.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "server/connection_arguments.h"

namespace attnd::bench {
namespace {

// More than any answer that is measured.
constexpr std::size_t kLargestAnswerBytes = std::size_t{64} << 20;

// Bytes that lie there already, as what was computed does.
grpc::ByteBuffer MakeAnswer(std::size_t size_bytes) {
  static const std::vector<char> bytes(kLargestAnswerBytes, 1);
  const grpc::Slice slice(bytes.data(), size_bytes, grpc::Slice::STATIC_SLICE);
  return {&slice, 1};
}

class RefusingReactor final : public grpc::ServerGenericBidiReactor {
 public:
  RefusingReactor() { Finish({grpc::StatusCode::UNIMPLEMENTED, "/unary/BYTES or /stream/BYTES expected"}); }
  void OnDone() override { delete this; }
};

class UnaryReactor final : public grpc::ServerGenericBidiReactor {
 public:
  explicit UnaryReactor(std::size_t answer_bytes) : answer_(MakeAnswer(answer_bytes)) { StartRead(&message_); }

  void OnReadDone(bool ok) override {
    if (!ok) return Finish({grpc::StatusCode::CANCELLED, "no whole message"});
    message_.Clear();
    StartWriteAndFinish(&answer_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnDone() override { delete this; }

 private:
  grpc::ByteBuffer message_;
  grpc::ByteBuffer answer_;
};

// Reads on while answers are being written.
class StreamReactor final : public grpc::ServerGenericBidiReactor {
 public:
  explicit StreamReactor(std::size_t answer_bytes) : answer_bytes_(answer_bytes) { StartRead(&message_); }

  void OnReadDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      owed_ += ok ? 1 : 0;
      is_closing_ = !ok;
      Proceed();
    }
    if (!ok) return;
    message_.Clear();
    StartRead(&message_);
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    is_writing_ = false;
    if (!ok) owed_ = 0;
    Proceed();
  }

  void OnDone() override { delete this; }

 private:
  void Proceed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (is_writing_) return;
    if (owed_ == 0) {
      if (is_closing_) Finish(grpc::Status::OK);
      return;
    }
    --owed_;
    is_writing_ = true;
    answer_ = MakeAnswer(answer_bytes_);
    StartWrite(&answer_);
  }

  const std::size_t answer_bytes_;
  grpc::ByteBuffer message_;
  grpc::ByteBuffer answer_;
  absl::Mutex mutex_;
  int owed_ ABSL_GUARDED_BY(mutex_) = 0;  // answers
  bool is_writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool is_closing_ ABSL_GUARDED_BY(mutex_) = false;
};

class Service final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* call) override {
    absl::string_view name = call->method();
    const bool is_unary = absl::ConsumePrefix(&name, "/unary/");
    std::uint64_t answer_bytes = 0;
    if ((!is_unary && !absl::ConsumePrefix(&name, "/stream/")) || !absl::SimpleAtoi(name, &answer_bytes) ||
        answer_bytes > kLargestAnswerBytes) {
      return new RefusingReactor();
    }
    if (is_unary) return new UnaryReactor(answer_bytes);
    return new StreamReactor(answer_bytes);
  }
};

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("Usage: attnd_echo_server ADDRESS\n", stderr);
    return 2;
  }
  // As in server/server.cpp: it would find cycles where there are none.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  grpc::EnableDefaultHealthCheckService(true);  // which attnd's client asks
  Service service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials(), &port);
  server::SetConnectionArguments(builder, 0);
  builder.SetMaxReceiveMessageSize(-1);
  builder.RegisterCallbackGenericService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  const std::string address = argv[1];
  const bool is_unix = address.starts_with("unix:");
  std::printf("%s\n",
              is_unix ? address.c_str() : (address.substr(0, address.rfind(':') + 1) + std::to_string(port)).c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

}  // namespace
}  // namespace attnd::bench

int main(int argc, char** argv) { return attnd::bench::Main(argc, argv); }

#include "tests/bench/bare_client.h"

#include <cstdio>
#include <cstdlib>

namespace attnd::bench {
namespace {

void ExitUnlessOk(const grpc::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "a bare call failed: %s\n", status.error_message().c_str());
  std::exit(1);
}

}  // namespace

grpc::ByteBuffer BareCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                          const grpc::ByteBuffer& message) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::ByteBuffer answer;
  grpc::Status result;
  absl::Notification done;
  stub.UnaryCall(&context, method, {}, &message, &answer, [&](grpc::Status status) {
    result = std::move(status);
    done.Notify();
  });
  done.WaitForNotification();
  ExitUnlessOk(result);
  return answer;
}

BareStream::BareStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method) {
  grpc::GenericStub(channel).PrepareBidiStreamingCall(&context_, method, {}, this);
  StartRead(&answer_);
  // Writes are started by whoever calls, not by reactions alone.
  AddHold();
  StartCall();
}

BareStream::~BareStream() {
  StartWritesDone();
  RemoveHold();
  done_.WaitForNotification();
}

void BareStream::Call(const grpc::ByteBuffer& message) {
  absl::Notification answered;
  {
    absl::MutexLock lock(&mutex_);
    unsent_.push_back(&message);
    waiting_.push_back(&answered);
    WriteNext();
  }
  answered.WaitForNotification();
}

void BareStream::WriteNext() {
  if (is_writing_ || unsent_.empty()) return;
  is_writing_ = true;
  const grpc::ByteBuffer* const message = unsent_.front();
  unsent_.pop_front();
  StartWrite(message);
}

void BareStream::OnWriteDone(bool /*ok*/) {
  absl::MutexLock lock(&mutex_);
  is_writing_ = false;
  WriteNext();
}

void BareStream::OnReadDone(bool ok) {
  if (!ok) return;
  answer_.Clear();
  absl::Notification* answered = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    answered = waiting_.front();
    waiting_.pop_front();
  }
  StartRead(&answer_);
  answered->Notify();
}

void BareStream::OnDone(const grpc::Status& status) {
  ExitUnlessOk(status);
  done_.Notify();
}

}  // namespace attnd::bench

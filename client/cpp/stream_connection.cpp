#include "client/cpp/stream_connection.h"

#include <absl/strings/str_cat.h>
#include <attnd/v1/attention.grpc.pb.h>

#include <string>
#include <utility>

#include "client/cpp/grpc_values.h"

namespace attnd {

std::shared_ptr<StreamConnection> StreamConnection::Create(grpc::GenericStub& stub,
                                                           std::shared_ptr<ConnectionOwner> owner) {
  static const std::string method = absl::StrCat("/", v1::AttentionService::service_full_name(), "/StreamAttend");
  std::shared_ptr<StreamConnection> connection(new StreamConnection(std::move(owner)));
  connection->self_ = connection;
  stub.PrepareBidiStreamingCall(&connection->context_, method, {}, connection.get());
  // Until nothing will be written any more: writes begin outside of gRPC's callbacks.
  connection->AddHold();
  connection->StartRead(&connection->read_);
  return connection;
}

void StreamConnection::Wake() {
  {
    absl::MutexLock lock(&mutex_);
    was_woken_ = true;
    if (is_writing_ || is_over_) return;
    is_writing_ = true;
  }
  Write();
}

void StreamConnection::Write() {
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      was_woken_ = false;
      if (is_over_) break;
    }
    written_.Clear();
    switch (owner_->NextMessage(*this, written_)) {
      case ConnectionOwner::Next::kMessage:
        StartWrite(&written_);
        return;
      case ConnectionOwner::Next::kEnd:
        StartWritesDone();
        return;
      case ConnectionOwner::Next::kNothing:
        break;
    }
    absl::MutexLock lock(&mutex_);
    if (was_woken_ && !is_over_) continue;
    if (is_over_) break;
    is_writing_ = false;
    return;
  }
  StopWriting();
}

void StreamConnection::OnWriteDone(bool ok) { ok ? Write() : StopWriting(); }

void StreamConnection::OnWritesDoneDone(bool /*ok*/) { StopWriting(); }

// By whom is writing.
void StreamConnection::StopWriting() {
  {
    absl::MutexLock lock(&mutex_);
    is_over_ = true;
    is_writing_ = false;
  }
  RemoveHold();
}

void StreamConnection::OnReadDone(bool ok) {
  if (ok) {
    broken_ = owner_->OnMessage(*this, read_);
    if (!broken_.ok()) context_.TryCancel();
    if (broken_.ok()) {
      read_.Clear();
      StartRead(&read_);
      return;
    }
  }
  {
    absl::MutexLock lock(&mutex_);
    const bool was_over = std::exchange(is_over_, true);
    if (was_over || is_writing_) return;
  }
  RemoveHold();
}

void StreamConnection::OnDone(const grpc::Status& status) {
  owner_->OnEnd(*this, broken_.ok() ? ToAbsl(status) : broken_);
  const auto last = std::move(self_);
}

}  // namespace attnd

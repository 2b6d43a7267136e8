// What stands behind an AttendCall: one for each way that a call can go.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <utility>

#include "client/cpp/client.h"

namespace attnd {

// The functions' contracts are AttendCall's, the destructor's too.
class CallState {
 public:
  CallState() = default;
  virtual ~CallState() = default;
  CallState(const CallState&) = delete;
  CallState& operator=(const CallState&) = delete;

  virtual void Cancel() = 0;
  virtual bool WaitUntil(absl::Time time) = 0;
  virtual absl::StatusOr<AttendResult> Take() = 0;
};

// A call that was done before it began.
class FailedCall final : public CallState {
 public:
  explicit FailedCall(absl::Status error) : error_(std::move(error)) {}

  void Cancel() override {}
  bool WaitUntil(absl::Time) override { return true; }
  absl::StatusOr<AttendResult> Take() override { return error_; }

 private:
  const absl::Status error_;
};

}  // namespace attnd

#include <utility>

#include "client/cpp/call_state.h"
#include "client/cpp/client.h"

namespace attnd {

AttendCall::AttendCall(std::unique_ptr<CallState> state) : state_(std::move(state)) {}
AttendCall::AttendCall(AttendCall&&) noexcept = default;
AttendCall& AttendCall::operator=(AttendCall&&) noexcept = default;
AttendCall::~AttendCall() = default;
void AttendCall::Cancel() { state_->Cancel(); }
bool AttendCall::WaitUntil(absl::Time time) { return state_->WaitUntil(time); }
absl::StatusOr<AttendResult> AttendCall::Take() { return state_->Take(); }

}  // namespace attnd

#include "server/admission.h"

#include <absl/log/check.h>
#include <absl/strings/str_format.h>

#include <utility>

namespace attnd::server {

Reservation::~Reservation() {
  if (admission_ != nullptr) admission_->Release(bytes_);
}

Reservation::Reservation(Reservation&& other) noexcept
    : admission_(std::exchange(other.admission_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  Reservation taken(std::move(other));
  std::swap(admission_, taken.admission_);
  std::swap(bytes_, taken.bytes_);
  return *this;
}

Admission::Admission(std::int64_t max_in_flight_bytes) : max_in_flight_bytes_(max_in_flight_bytes) {}

absl::StatusOr<Reservation> Admission::Reserve(std::int64_t bytes) {
  if (absl::Status status = Take(bytes); !status.ok()) return status;
  return Reservation(this, bytes);
}

absl::Status Admission::CheckFits(std::int64_t bytes) const {
  if (bytes <= max_in_flight_bytes_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrFormat(
      "bytes in flight: the request would hold %d bytes, and the server's limit is %d; it is never accepted", bytes,
      max_in_flight_bytes_));
}

std::int64_t Admission::in_flight_bytes() const {
  absl::MutexLock lock(&mutex_);
  return in_flight_bytes_;
}

bool Admission::AwaitNoneInFlight(absl::Duration timeout) const {
  absl::MutexLock lock(&mutex_);
  const auto none_in_flight = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return in_flight_bytes_ == 0; };
  return mutex_.AwaitWithTimeout(absl::Condition(&none_in_flight), timeout);
}

absl::Status Admission::Take(std::int64_t bytes) {
  DCHECK_GE(bytes, 0);
  absl::MutexLock lock(&mutex_);
  // Written so that no sum can overflow, whatever a request claims.
  if (bytes > max_in_flight_bytes_ - in_flight_bytes_) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "bytes in flight: the request needs %d more bytes while %d are held, and the server's limit is %d; retry later",
        bytes, in_flight_bytes_, max_in_flight_bytes_));
  }
  in_flight_bytes_ += bytes;
  return absl::OkStatus();
}

void Admission::Release(std::int64_t bytes) {
  absl::MutexLock lock(&mutex_);
  in_flight_bytes_ -= bytes;
  DCHECK_GE(in_flight_bytes_, 0);
}

}  // namespace attnd::server

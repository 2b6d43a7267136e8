// Bounds what all requests in flight hold together. Sits above every interface.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>

#include <cstdint>

namespace attnd::server {

class Admission;

// Bytes that one request holds; gives them back when it is destroyed. Moves, does not copy. Not thread-safe.
class Reservation {
 public:
  Reservation() = default;
  ~Reservation();
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;

  std::int64_t bytes() const { return bytes_; }

 private:
  friend class Admission;
  Reservation(Admission* admission, std::int64_t bytes) : admission_(admission), bytes_(bytes) {}

  Admission* admission_ = nullptr;
  std::int64_t bytes_ = 0;
};

// Thread-safe. Must outlive its reservations.
class Admission {
 public:
  explicit Admission(std::int64_t max_in_flight_bytes);

  // RESOURCE_EXHAUSTED, naming both numbers, where the bytes in flight would go over the limit.
  absl::StatusOr<Reservation> Reserve(std::int64_t bytes);
  // RESOURCE_EXHAUSTED where a request that holds so many bytes would not be accepted even alone: retrying is no use.
  absl::Status CheckFits(std::int64_t bytes) const;
  std::int64_t in_flight_bytes() const;
  // Waits until no bytes are held; false where that takes longer.
  bool AwaitNoneInFlight(absl::Duration timeout) const;

 private:
  friend class Reservation;
  absl::Status Take(std::int64_t bytes);
  void Release(std::int64_t bytes);

  const std::int64_t max_in_flight_bytes_;
  mutable absl::Mutex mutex_;
  std::int64_t in_flight_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attnd::server

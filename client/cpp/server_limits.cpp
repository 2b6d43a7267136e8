#include "client/cpp/server_limits.h"

#include <absl/time/clock.h>

namespace attnd {
namespace {

constexpr absl::Duration kGoodFor = absl::Minutes(1);

}  // namespace

std::optional<ServerLimits> KnownLimits::Get() const {
  absl::MutexLock lock(&mutex_);
  if (limits_ && absl::Now() - set_at_ > kGoodFor) return std::nullopt;
  return limits_;
}

void KnownLimits::Set(const ServerLimits& limits) {
  absl::MutexLock lock(&mutex_);
  limits_ = limits;
  set_at_ = absl::Now();
}

}  // namespace attnd

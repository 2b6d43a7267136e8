// The latency that /metrics tells is the one that clients see.
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/server/running_server.h"
#include "tests/server/stepwise_call.h"
#include "tests/support/attend_request.h"

namespace attnd::test {
namespace {

constexpr int kCalls = 300;
// More than one in a hundred, so that the 99th percentile is among them.
constexpr int kSlowCalls = 10;
// In the bucket from 1 to 2 seconds, whose neighbours leave room for a busy machine: 0.8 to 1, and 2 to 5.
constexpr absl::Duration kSlow = absl::Milliseconds(1200);

constexpr char kLabels[] = "{grpc_method=\"Attend\",grpc_service=\"attnd.v1.AttentionService\",grpc_type=\"unary\"";

// An Attend call that lasts until its caller ends its stream: the server answers only then.
class HeldCall final : public StepwiseCall {
 public:
  HeldCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& message)
      : StepwiseCall(channel, kAttendMethod, message) {
    StartWrite(&request_);
    StartRead(&response_);
    AddHold();
    StartCall();
  }

  void EndStream() {
    StartWritesDone();
    RemoveHold();
  }

  double AwaitSeconds() {
    const grpc::Status status = AwaitEnd();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return absl::ToDoubleSeconds(ended_at_ - started_at_);
  }

  void OnDone(const grpc::Status& status) override {
    ended_at_ = absl::Now();
    StepwiseCall::OnDone(status);
  }

 private:
  const absl::Time started_at_ = absl::Now();
  absl::Time ended_at_;
};

// The call that as many are not slower than, in percent, counted from 1.
int Rank(double percentile) { return static_cast<int>(std::ceil(percentile / 100 * kCalls)); }

// Upper bound → how many calls were not slower.
std::map<double, double> Buckets(const Samples& samples) {
  const std::string start = std::string("grpc_server_handling_seconds_bucket") + kLabels + ",le=\"";
  std::map<double, double> buckets;
  for (const auto& [name, count] : samples) {
    if (!name.starts_with(start)) continue;
    const std::string bound = name.substr(start.size());
    buckets[bound.starts_with("+Inf") ? std::numeric_limits<double>::infinity() : std::stod(bound)] = count;
  }
  return buckets;
}

// The buckets' numbers, from the fastest, in which a percentile lies.
std::ptrdiff_t BucketOf(const std::map<double, double>& buckets, double seconds) {
  return std::distance(buckets.begin(), buckets.lower_bound(seconds));
}
std::ptrdiff_t BucketOfPercentile(const std::map<double, double>& buckets, double percentile) {
  const auto found =
      std::ranges::find_if(buckets, [&](const auto& bucket) { return bucket.second >= Rank(percentile); });
  return std::distance(buckets.begin(), found);
}

TEST(LatencyHistogram, Its99thPercentileIsWithinABucketOfWhatClientsMeasured) {
  RunningServer server;
  const std::string message = ToRequest(CaseWithEverything()).SerializeAsString();
  std::vector<std::unique_ptr<HeldCall>> calls;
  for (int i = 0; i < kCalls; ++i) calls.push_back(std::make_unique<HeldCall>(server.channel(), message));
  const std::string started = std::string("grpc_server_started_total") + kLabels + "}";
  server.ScrapeUntil([&](const Samples& samples) { return samples.at(started) == kCalls; });
  for (int i = kSlowCalls; i < kCalls; ++i) calls[static_cast<std::size_t>(i)]->EndStream();
  absl::SleepFor(kSlow);
  for (int i = 0; i < kSlowCalls; ++i) calls[static_cast<std::size_t>(i)]->EndStream();

  std::vector<double> seconds;
  for (const std::unique_ptr<HeldCall>& call : calls) seconds.push_back(call->AwaitSeconds());
  std::ranges::sort(seconds);
  const std::map<double, double> buckets = Buckets(server.Scrape());
  ASSERT_EQ(buckets.size(), 41u);
  ASSERT_EQ(buckets.rbegin()->second, kCalls);
  for (const double percentile : {50.0, 90.0, 99.0, 100.0}) {
    const double measured_seconds = seconds[static_cast<std::size_t>(Rank(percentile) - 1)];
    // What the server counts of a call lies within what its client measures.
    EXPECT_LE(BucketOfPercentile(buckets, percentile), BucketOf(buckets, measured_seconds)) << percentile;
  }
  const double p99_seconds = seconds[static_cast<std::size_t>(Rank(99) - 1)];
  EXPECT_GE(p99_seconds, absl::ToDoubleSeconds(kSlow));
  EXPECT_GE(BucketOfPercentile(buckets, 99), BucketOf(buckets, p99_seconds) - 1) << p99_seconds << " s measured";
}

}  // namespace
}  // namespace attnd::test

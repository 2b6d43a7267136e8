// The one way of a request, without an interface above it: what it takes, counts and gives back.
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/attend.h"
#include "tests/server/scrape.h"
#include "tests/support/attention_case.h"
#include "tests/support/engine_call.h"
#include "tests/support/seed.h"
#include "tests/support/small_float.h"

namespace attnd::server {
namespace {

using AnswerOrStatus = absl::StatusOr<std::shared_ptr<const Answer>>;

constexpr std::int64_t kLimitBytes = 1 << 20;
constexpr std::int64_t kMessageBytes = 5000;

test::AttentionCase Make() {
  test::Random random = test::SeededRandom();
  return test::MakeCase({.sizes = {.query_rows = 10, .keys = 20, .head_size = 16, .value_head_size = 16}}, random);
}

class AttendCallTest : public ::testing::Test {
 protected:
  std::unique_ptr<AttendCall> NewCall(absl::Time deadline = absl::InfiniteFuture()) {
    return std::make_unique<AttendCall>(context_, deadline);
  }

  // Where the call was started, what became of it.
  AnswerOrStatus Start(AttendCall& call, const test::AttentionCase& attention) {
    const absl::StatusOr<InputMemory> memory = call.Open(attention.description, kLimitBytes);
    if (!memory.ok()) return memory.status();
    const auto put = [](const std::vector<double>& numbers, std::byte* memory_of_tensor) {
      const std::vector<std::uint8_t> bytes = test::Encode(core::ElementType::kFloat32, numbers);
      std::memcpy(memory_of_tensor, bytes.data(), bytes.size());
    };
    put(attention.query, (*memory)[core::Input::kQuery]);
    put(attention.key, (*memory)[core::Input::kKey]);
    put(attention.value, (*memory)[core::Input::kValue]);
    call.ReleaseMessage();
    return Compute(call);
  }

  static AnswerOrStatus Compute(AttendCall& call) {
    absl::Notification done;
    AnswerOrStatus result;
    call.Compute(/*parsed_size_bytes=*/100, [&](AnswerOrStatus answer) {
      result = std::move(answer);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }

  test::Samples Scrape() const {
    return test::ParseSamples(prometheus::TextSerializer().Serialize(metrics_.registry()->Collect()));
  }

  Metrics metrics_{"", ""};
  Admission admission_{kLimitBytes};
  KeptMemory kept_memory_{0};
  core::Engine engine_{{.worker_count = 1, .observer = &metrics_}};
  const AttendContext context_{.engine = &engine_,
                               .admission = &admission_,
                               .kept_memory = &kept_memory_,
                               .metrics = &metrics_,
                               .max_message_bytes = kLimitBytes,
                               .max_in_flight_bytes = kLimitBytes};
};

TEST_F(AttendCallTest, HoldsTheMessageThenTheAnswerUntilThatIsSent) {
  const test::AttentionCase attention = Make();
  std::unique_ptr<AttendCall> call = NewCall();
  ASSERT_TRUE(call->Receive(kMessageBytes).ok());
  EXPECT_EQ(admission_.in_flight_bytes(), kMessageBytes);
  ASSERT_TRUE(call->ReserveForParsing(300).ok());
  EXPECT_EQ(admission_.in_flight_bytes(), kMessageBytes + 300);
  EXPECT_EQ(Scrape().at("attnd_requests_in_flight"), 1);

  AnswerOrStatus answer = Start(*call, attention);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(admission_.in_flight_bytes(), (10 * 16 + 10 * 20 + 10) * 4);  // output, weights, log-sum-exp
  call->EndEncode(777);
  call.reset();
  EXPECT_EQ(Scrape().at("attnd_requests_in_flight"), 0);
  EXPECT_GT(admission_.in_flight_bytes(), 0);
  answer = absl::CancelledError("sent");
  // The worker may be on its way out of `done` still.
  EXPECT_TRUE(admission_.AwaitNoneInFlight(absl::Minutes(1)));

  const test::Samples samples = Scrape();
  EXPECT_EQ(samples.at("attnd_received_bytes_total"), kMessageBytes);
  EXPECT_EQ(samples.at("attnd_sent_bytes_total"), 777);
  EXPECT_EQ(samples.at("attnd_copied_bytes_total"), 100 + (10 * 16 + 20 * 16 + 20 * 16) * 4);
}

TEST_F(AttendCallTest, GivesTheCoresBitsInAlignedMemory) {
  const test::AttentionCase attention = Make();
  std::unique_ptr<AttendCall> call = NewCall();
  ASSERT_TRUE(call->Receive(kMessageBytes).ok());
  const AnswerOrStatus answer = Start(*call, attention);
  ASSERT_TRUE(answer.ok()) << answer.status();
  std::vector<std::uint8_t> bytes;
  for (const TensorMemory& buffer : (*answer)->tensors) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
    const auto* begin = reinterpret_cast<const std::uint8_t*>(buffer.data());
    bytes.insert(bytes.end(), begin, begin + buffer.size_bytes());
  }
  EXPECT_EQ(bytes, test::AttendForBytes(test::SharedEngine(), attention));
}

TEST_F(AttendCallTest, IsRefusedWhereItsMessageIsOneTooMany) {
  const Reservation held = *admission_.Reserve(kLimitBytes - kMessageBytes + 1);
  std::unique_ptr<AttendCall> call = NewCall();
  EXPECT_EQ(call->Receive(kMessageBytes).code(), absl::StatusCode::kResourceExhausted);
  call.reset();
  EXPECT_EQ(admission_.in_flight_bytes(), held.bytes());
}

// Whether it fits is known before anything is allocated; of what does not, nothing stays reserved.
TEST_F(AttendCallTest, IsRefusedWhereItsAnswerIsOneTooMany) {
  const test::AttentionCase attention = Make();
  std::optional<Reservation> held;
  std::unique_ptr<AttendCall> call = NewCall();
  ASSERT_TRUE(call->Receive(kMessageBytes).ok());
  held = *admission_.Reserve(kLimitBytes - kMessageBytes - (10 * 16 + 20 * 16 + 20 * 16) * 4);
  const AnswerOrStatus refused = Start(*call, attention);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(std::string(refused.status().message()).ends_with("; retry later")) << refused.status();
  call.reset();
  EXPECT_EQ(admission_.in_flight_bytes(), held->bytes());
}

// Sizes are the caller's words until they are held against the limits; no sum of them may overflow.
TEST_F(AttendCallTest, IsRefusedForGoodWhereItsTensorsAreLargerThanAnyMemory) {
  core::ProblemDescription description = Make().description;
  constexpr std::int64_t kRows = std::int64_t{1} << 56;
  description.key.shape = description.value.shape = {1, 1, kRows, 16};
  description.size_bytes[core::Input::kKey] = description.size_bytes[core::Input::kValue] = kRows * 16 * 4;
  description.return_weights = false;
  std::unique_ptr<AttendCall> call = NewCall();
  ASSERT_TRUE(call->Receive(kMessageBytes).ok());
  const absl::Status status = call->Open(description, INT64_MAX).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(std::string(status.message()).ends_with("it is never accepted")) << status;
}

TEST_F(AttendCallTest, HoldsWhatAPartedRequestWillTakeFromItsBeginning) {
  const test::AttentionCase attention = Make();
  std::unique_ptr<AttendCall> call = NewCall();
  ASSERT_TRUE(call->Receive(kMessageBytes).ok());
  ASSERT_TRUE(call->Open(attention.description, INT64_MAX).ok());
  call->ReleaseMessage();
  EXPECT_EQ(admission_.in_flight_bytes(), call->held_bytes());
  EXPECT_GT(call->held_bytes(), (10 * 16 + 20 * 16 + 20 * 16) * 4);
  call.reset();
  EXPECT_EQ(admission_.in_flight_bytes(), 0);
}

TEST_F(AttendCallTest, IsNotCheckedOrCopiedAfterItsDeadline) {
  std::unique_ptr<AttendCall> call = NewCall(absl::Now() - absl::Seconds(1));
  ASSERT_TRUE(call->Receive(kMessageBytes).ok());
  const AnswerOrStatus answer = Start(*call, Make());
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(answer.status().message(), "deadline: passed before the request was decoded");
}

TEST_F(AttendCallTest, IsNotCopiedWhereItsCallerWentAway) {
  std::unique_ptr<AttendCall> call = NewCall();
  ASSERT_TRUE(call->Receive(kMessageBytes).ok());
  call->Cancel();
  EXPECT_EQ(Start(*call, Make()).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(AttendCallTest, RefusesWhatTheCoreRefusesWithItsText) {
  test::AttentionCase attention = Make();
  attention.description.size_bytes[core::Input::kQuery] += 1;
  std::unique_ptr<AttendCall> call = NewCall();
  ASSERT_TRUE(call->Receive(kMessageBytes).ok());
  const AnswerOrStatus answer = Start(*call, attention);
  EXPECT_EQ(answer.status(), core::CheckProblem(attention.description, {}).status());
}

// A deadline that passes in the core is told as one, whoever noticed first.
TEST_F(AttendCallTest, TellsADeadlineFromACancellation) {
  const test::AttentionCase attention = Make();
  std::unique_ptr<AttendCall> call = NewCall(absl::Now() + absl::Milliseconds(50));
  ASSERT_TRUE(call->Receive(kMessageBytes).ok());
  ASSERT_TRUE(call->Open(attention.description, kLimitBytes).ok());
  absl::SleepFor(absl::Milliseconds(60));
  call->Cancel();
  EXPECT_EQ(Compute(*call).status().code(), absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace attnd::server

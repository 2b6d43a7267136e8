// Partial results on their way through a server.
#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"

namespace attnd {
namespace {

using test::FakeServer;
using test::FakeServerOptions;
using test::WithinAMinute;

constexpr float kOutput[] = {1, 2, 3, 4};
constexpr float kLogSumExp[] = {5, 6};

PartialResult Part() {
  return {.output = {ElementType::kFloat32, {2, 2}, kOutput}, .log_sum_exp = {ElementType::kFloat32, {2}, kLogSumExp}};
}

// The first part.
grpc::Status AnswerFirst(const v1::MergePartialsRequest& request, v1::MergePartialsResponse& response) {
  const auto first = [](const v1::TensorDescription& all, const std::string& all_data, v1::TensorDescription& one,
                        std::string& data) {
    one.set_element_type(all.element_type());
    one.mutable_shape()->Add(all.shape().begin() + 1, all.shape().end());
    data = all_data.substr(0, all_data.size() / static_cast<std::size_t>(all.shape(0)));
  };
  first(request.output(), request.output_data(), *response.mutable_output(), *response.mutable_output_data());
  first(request.log_sum_exp(), request.log_sum_exp_data(), *response.mutable_log_sum_exp(),
        *response.mutable_log_sum_exp_data());
  return grpc::Status::OK;
}

FakeServerOptions WithMerge(test::MergeHandler handler) {
  FakeServerOptions options;
  options.merge = std::move(handler);
  return options;
}

TEST(MergeCall, GivesWhatTheServerAnswers) {
  const FakeServer server(test::AnswerQuery, WithMerge(AnswerFirst));
  Client client(server.address());
  const auto merged = client.MergePartials({Part(), Part(), Part()}, WithinAMinute());
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->output.shape(), (Shape{2, 2}));
  EXPECT_EQ(merged->output.elements<float>()[3], 4);
  EXPECT_EQ(merged->log_sum_exp.shape(), (Shape{2}));
  EXPECT_EQ(merged->log_sum_exp.elements<float>()[1], 6);
}

TEST(MergeCall, HasTheServersError) {
  const FakeServer server(test::AnswerQuery,
                          WithMerge([](auto&, auto&) { return grpc::Status(grpc::INVALID_ARGUMENT, "two ranks"); }));
  Client client(server.address());
  EXPECT_EQ(client.MergePartials({Part()}, WithinAMinute()).status(), absl::InvalidArgumentError("two ranks"));
}

TEST(MergeCall, IsNotSentWhereItIsNone) {
  const FakeServer server(test::AnswerQuery, WithMerge(AnswerFirst));
  Client client(server.address());
  EXPECT_EQ(client.MergePartials({}, WithinAMinute()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server.call_count(), 0);
}

TEST(MergeCall, EndsAtItsDeadline) {
  const FakeServer server(test::AnswerQuery, WithMerge(AnswerFirst));
  Client client(server.address());
  EXPECT_EQ(client.MergePartials({Part()}, {.deadline = absl::InfinitePast()}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST(MergeCall, IsTriedAgainWhereTheServerIsAway) {
  std::atomic<int> calls = 0;
  const FakeServer server(test::AnswerQuery, WithMerge([&calls](const auto& request, auto& response) {
                            if (++calls < 3) return grpc::Status(grpc::UNAVAILABLE, "away");
                            return AnswerFirst(request, response);
                          }));
  Client client(server.address());
  EXPECT_TRUE(client.MergePartials({Part()}, WithinAMinute()).ok());
  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace attnd

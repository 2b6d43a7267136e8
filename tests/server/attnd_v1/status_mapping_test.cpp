#include "server/attnd_v1/status_mapping.h"

#include <gtest/gtest.h>

#include <string>

namespace attnd::server::attnd_v1 {
namespace {

TEST(ToGrpcStatus, KeepsCodeAndText) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  // The 16 codes that both know, by number.
  for (int code = 1; code <= 16; ++code) {
    const grpc::Status status = ToGrpcStatus(absl::Status(static_cast<absl::StatusCode>(code), "why"));
    EXPECT_EQ(status.error_code(), static_cast<grpc::StatusCode>(code));
    EXPECT_EQ(status.error_message(), "why");
  }
}

TEST(ToGrpcStatus, NamesMatch) {
  EXPECT_EQ(ToGrpcStatus(absl::CancelledError("")).error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(ToGrpcStatus(absl::InvalidArgumentError("")).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ToGrpcStatus(absl::DeadlineExceededError("")).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ToGrpcStatus(absl::ResourceExhaustedError("")).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ToGrpcStatus(absl::UnimplementedError("")).error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(ToGrpcStatus(absl::UnavailableError("")).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(ToGrpcStatus, CutsALongText) {
  const std::string text(5000, 'x');
  EXPECT_EQ(ToGrpcStatus(absl::InvalidArgumentError(text)).error_message(), text.substr(0, 1000));
}

}  // namespace
}  // namespace attnd::server::attnd_v1

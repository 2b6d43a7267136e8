// The channels of a client: gRPC's settings for calls that carry tensors.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <string_view>

#include "client/cpp/client.h"

namespace attnd {

// For the AttentionService: round_robin over the healthy servers, UNAVAILABLE is retried but on streams.
std::shared_ptr<grpc::Channel> MakeCallChannel(const std::string& address, const ClientOptions& options);

// For health checks: also reaches a server that is not healthy, and does not retry.
std::shared_ptr<grpc::Channel> MakeHealthChannel(const std::string& address, const ClientOptions& options);

// Whether the address can only be this machine.
bool IsLoopback(std::string_view address);

}  // namespace attnd

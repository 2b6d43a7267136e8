// gRPC's settings for connections with clients that send tensors.
#pragma once

namespace grpc {
class ServerBuilder;
}

namespace attnd::server {

// 0: connections are of any age.
void SetConnectionArguments(grpc::ServerBuilder& builder, double max_connection_age_seconds);

}  // namespace attnd::server

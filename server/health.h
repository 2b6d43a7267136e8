// What grpc.health.v1 says of this server, by Check and Watch.
#pragma once

namespace grpc {
class HealthCheckServiceInterface;
}

namespace attnd::server {

// Turns health checking and reflection on for the gRPC servers that are built from now on. Call before any is built.
void EnableHealthAndReflection();

// SERVING or NOT_SERVING for the server as a whole (the empty name) and for attnd.v1.AttentionService. The name
// "liveness" is always SERVING: for whoever restarts a process that answers nothing, but not one that drains. Any other
// name is answered with NOT_FOUND, or SERVICE_UNKNOWN in a Watch.
void SetServing(grpc::HealthCheckServiceInterface& health, bool serving);

}  // namespace attnd::server

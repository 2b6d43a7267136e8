#include "server/health.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

namespace attnd::server {

void EnableHealthAndReflection() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
}

void SetServing(grpc::HealthCheckServiceInterface& health, bool serving) {
  health.SetServingStatus("", serving);
  health.SetServingStatus("attnd.v1.AttentionService", serving);
  health.SetServingStatus("liveness", true);
}

}  // namespace attnd::server

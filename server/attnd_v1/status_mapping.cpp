#include "server/attnd_v1/status_mapping.h"

#include <cstddef>
#include <string>

namespace attnd::server::attnd_v1 {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  constexpr std::size_t kMaxTextBytes = 1000;
  // The numbers of both enumerations are those of google.rpc.Code.
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message().substr(0, kMaxTextBytes))};
}

}  // namespace attnd::server::attnd_v1

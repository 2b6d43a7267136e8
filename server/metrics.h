// What the server tells Prometheus, in one place. Names and labels are held by a golden list in the tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "core/observer.h"

namespace prometheus {
class Registry;
}

namespace attnd::server {

enum class Phase : std::uint8_t { kDecode, kQueue, kCompute, kEncode };

// Thread-safe.
class Metrics final : public core::Observer {
 public:
  // `onednn_version` and `instruction_set` become labels of attnd_build_info.
  Metrics(std::string_view onednn_version, std::string_view instruction_set);
  ~Metrics() override;

  // attnd_tiles_total, attnd_floating_point_operations_total, attnd_worker_busy_seconds_total.
  void OnWorkDone(const core::WorkDone& work) override;

  // attnd_phase_duration_seconds{phase}.
  void ObservePhase(Phase phase, double seconds);
  // grpc_server_started_total and, when a call is over, grpc_server_handled_total and grpc_server_handling_seconds.
  // `method` is "/package.Service/Method"; an unknown one goes under one label. `grpc_code` is the number of a
  // grpc::StatusCode.
  void CallStarted(std::string_view method);
  void CallHandled(std::string_view method, int grpc_code, double seconds);

  // attnd_stream_requests_total: a request of StreamAttend got its status.
  void StreamRequestHandled(int grpc_code);

  // attnd_requests_in_flight: requests, of Attend, of MergePartials or of a stream, that have arrived or begun and
  // whose status is not yet sent.
  void AddRequestsInFlight(int change);
  // attnd_in_flight_bytes, as Admission counts them.
  void SetInFlightBytes(std::int64_t bytes);
  // Bytes of messages of Attend, StreamAttend and MergePartials; and bytes of them that were copied on their way to the
  // tensors.
  void AddReceivedBytes(std::int64_t bytes);
  void AddSentBytes(std::int64_t bytes);
  void AddCopiedBytes(std::int64_t bytes);

  std::shared_ptr<prometheus::Registry> registry() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace attnd::server

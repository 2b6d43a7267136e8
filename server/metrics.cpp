#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <cstddef>
#include <string>

#include "server/version.h"

namespace attnd::server {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;

// The latency buckets of gRFC A66, in seconds.
const Histogram::BucketBoundaries kSecondsBuckets = {
    0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01,
    0.013,   0.016,   0.02,   0.025,  0.03,   0.04,   0.05,  0.065, 0.08,  0.1,   0.13,  0.16,  0.2,   0.25,
    0.3,     0.4,     0.5,    0.65,   0.8,    1,      2,     5,     10,    20,    50,    100};

struct Method {
  std::string_view path;  // empty for every method that is not in the list
  std::string_view type;
  std::string_view service;
  std::string_view name;
};

// The methods that the server has, and last the one under which all others are counted.
constexpr std::array<Method, 9> kMethods = {{
    {"/attnd.v1.AttentionService/Attend", "unary", "attnd.v1.AttentionService", "Attend"},
    {"/attnd.v1.AttentionService/StreamAttend", "bidi_stream", "attnd.v1.AttentionService", "StreamAttend"},
    {"/attnd.v1.AttentionService/MergePartials", "unary", "attnd.v1.AttentionService", "MergePartials"},
    {"/attnd.v1.AttentionService/GetServerInfo", "unary", "attnd.v1.AttentionService", "GetServerInfo"},
    {"/grpc.health.v1.Health/Check", "unary", "grpc.health.v1.Health", "Check"},
    {"/grpc.health.v1.Health/Watch", "server_stream", "grpc.health.v1.Health", "Watch"},
    // gRPC 1.51 serves the first of the two, later releases both.
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "bidi_stream",
     "grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo"},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "bidi_stream", "grpc.reflection.v1.ServerReflection",
     "ServerReflectionInfo"},
    {"", "unknown", "unknown", "unknown"},
}};

std::size_t MethodIndex(std::string_view path) {
  std::size_t index = 0;
  while (index + 1 < kMethods.size() && kMethods[index].path != path) ++index;
  return index;
}

// The names of grpc::StatusCode by number, spelled as go-grpc-prometheus does, whose label values dashboards select.
constexpr std::array<std::string_view, 17> kCodes = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

std::size_t CodeIndex(int grpc_code) {
  constexpr std::size_t kUnknownCode = 2;
  const bool known = grpc_code >= 0 && static_cast<std::size_t>(grpc_code) < kCodes.size();
  return known ? static_cast<std::size_t>(grpc_code) : kUnknownCode;
}

constexpr std::array<std::string_view, 4> kPhases = {"decode", "queue", "compute", "encode"};

Labels MethodLabels(const Method& method) {
  return {{"grpc_type", std::string(method.type)},
          {"grpc_service", std::string(method.service)},
          {"grpc_method", std::string(method.name)}};
}

struct MethodMetrics {
  Counter* started;
  std::array<Counter*, kCodes.size()> handled;
  Histogram* handling_seconds;
};

}  // namespace

// Every metric is made here once, so that it is at zero from the start and counting takes no lock of the registry.
class Metrics::Impl {
 public:
  Impl(std::string_view onednn_version, std::string_view instruction_set) {
    AddMethods();
    Family<Histogram>& phases =
        prometheus::BuildHistogram()
            .Name("attnd_phase_duration_seconds")
            .Help("Seconds that one Attend call spent in a phase: decode, queue, compute, encode.")
            .Register(*registry);
    for (std::size_t phase = 0; phase < kPhases.size(); ++phase) {
      phase_seconds[phase] = &phases.Add({{"phase", std::string(kPhases[phase])}}, kSecondsBuckets);
    }
    Family<Counter>& tiles = prometheus::BuildCounter()
                                 .Name("attnd_tiles_total")
                                 .Help("Tiles that were computed, and tiles that a mask hides whole and were skipped.")
                                 .Register(*registry);
    computed_tiles = &tiles.Add({{"state", "computed"}});
    skipped_tiles = &tiles.Add({{"state", "skipped"}});
    Family<Counter>& requests = prometheus::BuildCounter()
                                    .Name("attnd_stream_requests_total")
                                    .Help("Requests of StreamAttend that ended, by the code of their status.")
                                    .Register(*registry);
    for (std::size_t code = 0; code < kCodes.size(); ++code) {
      stream_requests[code] = &requests.Add({{"grpc_code", std::string(kCodes[code])}});
    }
    prometheus::BuildGauge()
        .Name("attnd_build_info")
        .Help("Always 1; its labels say what runs.")
        .Register(*registry)
        .Add({{"version", std::string(Version())},
              {"onednn_version", std::string(onednn_version)},
              {"instruction_set", std::string(instruction_set)}})
        .Set(1);
  }

  const std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();

  std::array<MethodMetrics, kMethods.size()> methods;
  std::array<Counter*, kCodes.size()> stream_requests;
  std::array<Histogram*, kPhases.size()> phase_seconds;
  Counter* computed_tiles;
  Counter* skipped_tiles;
  Counter& floating_point_operations = AddCounter("attnd_floating_point_operations_total",
                                                  "Multiplications and additions of the products in computed tiles.");
  Counter& worker_busy_seconds =
      AddCounter("attnd_worker_busy_seconds_total", "Seconds that worker threads spent computing, all together.");
  Counter& received_bytes =
      AddCounter("attnd_received_bytes_total", "Bytes of the request messages of Attend and StreamAttend.");
  Counter& sent_bytes =
      AddCounter("attnd_sent_bytes_total", "Bytes of the response messages of Attend and StreamAttend.");
  Counter& copied_bytes =
      AddCounter("attnd_copied_bytes_total", "Bytes of those request messages that were copied on their way.");
  Gauge& requests_in_flight =
      AddGauge("attnd_requests_in_flight",
               "Requests of Attend and StreamAttend that have arrived or begun and whose status is not yet sent.");
  Gauge& in_flight_bytes = AddGauge(
      "attnd_in_flight_bytes", "Bytes that calls in flight hold: messages, tensors, packed keys and values, answers.");

 private:
  Counter& AddCounter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(*registry).Add({});
  }
  Gauge& AddGauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(*registry).Add({});
  }

  void AddMethods() {
    Family<Counter>& started = prometheus::BuildCounter()
                                   .Name("grpc_server_started_total")
                                   .Help("Calls that were started on the server.")
                                   .Register(*registry);
    Family<Counter>& handled = prometheus::BuildCounter()
                                   .Name("grpc_server_handled_total")
                                   .Help("Calls that were completed on the server, whether with success or not.")
                                   .Register(*registry);
    Family<Histogram>& handling_seconds = prometheus::BuildHistogram()
                                              .Name("grpc_server_handling_seconds")
                                              .Help("Seconds from a call's start on the server until its status.")
                                              .Register(*registry);
    for (std::size_t index = 0; index < kMethods.size(); ++index) {
      Labels labels = MethodLabels(kMethods[index]);
      methods[index].started = &started.Add(labels);
      methods[index].handling_seconds = &handling_seconds.Add(labels, kSecondsBuckets);
      for (std::size_t code = 0; code < kCodes.size(); ++code) {
        labels["grpc_code"] = kCodes[code];
        methods[index].handled[code] = &handled.Add(labels);
      }
    }
  }
};

Metrics::Metrics(std::string_view onednn_version, std::string_view instruction_set)
    : impl_(std::make_unique<Impl>(onednn_version, instruction_set)) {}

Metrics::~Metrics() = default;

void Metrics::OnWorkDone(const core::WorkDone& work) {
  impl_->computed_tiles->Increment(static_cast<double>(work.computed_tiles));
  impl_->skipped_tiles->Increment(static_cast<double>(work.skipped_tiles));
  impl_->floating_point_operations.Increment(work.floating_point_operations);
  impl_->worker_busy_seconds.Increment(work.busy_seconds);
}

void Metrics::ObservePhase(Phase phase, double seconds) {
  impl_->phase_seconds[static_cast<std::size_t>(phase)]->Observe(seconds);
}

void Metrics::CallStarted(std::string_view method) { impl_->methods[MethodIndex(method)].started->Increment(); }

void Metrics::CallHandled(std::string_view method, int grpc_code, double seconds) {
  const MethodMetrics& metrics = impl_->methods[MethodIndex(method)];
  metrics.handled[CodeIndex(grpc_code)]->Increment();
  metrics.handling_seconds->Observe(seconds);
}

void Metrics::StreamRequestHandled(int grpc_code) { impl_->stream_requests[CodeIndex(grpc_code)]->Increment(); }

void Metrics::AddRequestsInFlight(int change) { impl_->requests_in_flight.Increment(change); }

void Metrics::SetInFlightBytes(std::int64_t bytes) { impl_->in_flight_bytes.Set(static_cast<double>(bytes)); }

void Metrics::AddReceivedBytes(std::int64_t bytes) { impl_->received_bytes.Increment(static_cast<double>(bytes)); }

void Metrics::AddSentBytes(std::int64_t bytes) { impl_->sent_bytes.Increment(static_cast<double>(bytes)); }

void Metrics::AddCopiedBytes(std::int64_t bytes) { impl_->copied_bytes.Increment(static_cast<double>(bytes)); }

std::shared_ptr<prometheus::Registry> Metrics::registry() const { return impl_->registry; }

}  // namespace attnd::server

#include "server/connection_arguments.h"

#include <grpc/grpc.h>
#include <grpcpp/server_builder.h>

#include <algorithm>

namespace attnd::server {
namespace {

// A client may have this many calls under way on one connection; gRPC's clients keep further ones waiting.
constexpr int kMaxConcurrentStreams = 1024;
// How far gRPC reads ahead of us on one call. By itself it would go by its estimate of the connection's bandwidth and
// delay, and so take tens of mebibytes a call from fast peers just when the machine is busy. At a delay of 10 ms this
// still lets 800 MB/s through; a message that is being read is not held back by it.
constexpr int kReadAheadBytes = 8 << 20;
// A peer that is silent this long is asked for a sign of life, and its connection closed without one.
constexpr int kKeepaliveTimeMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
// Clients may ask for ours this often, also when no call is under way: gRPC's default of five minutes ends connections
// of clients that are set up to notice a dead server within seconds.
constexpr int kMinClientPingIntervalMs = 5'000;

}  // namespace

void SetConnectionArguments(grpc::ServerBuilder& builder, double max_connection_age_seconds) {
  // Without this a second server would share the port in silence.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinClientPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kReadAheadBytes);
  // Calls under way are finished on the old connection, however long they take.
  if (max_connection_age_seconds > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               std::max(1, static_cast<int>(max_connection_age_seconds * 1000)));
  }
  // gRPC inflates a compressed message whole before it looks at its size.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
}

}  // namespace attnd::server

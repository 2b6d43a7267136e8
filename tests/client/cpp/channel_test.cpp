#include "client/cpp/channel.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"

namespace attnd {
namespace {

TEST(Channel, KnowsWhichAddressesAreThisMachine) {
  for (const char* address : {"127.0.0.1:50051", "127.1.2.3:1", "localhost:50051", "localhost", "[::1]:50051",
                              "dns:///localhost:1", "dns:127.0.0.1:1", "ipv4:127.0.0.1:1", "ipv6:[::1]:1"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address : {"10.0.0.1:50051", "localhost.example.org:1", "localhosts", "example.org:127",
                              "dns:///example.org:1", "ipv4:127.0.0.1:1,10.0.0.1:1", "[::2]:1", ""}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(Channel, LoopbackIsNotReachedThroughAProxy) {
  // Port 9 discards, where anybody listens there at all.
  for (const char* name : {"http_proxy", "https_proxy", "grpc_proxy"}) setenv(name, "http://127.0.0.1:9", 1);
  const test::FakeServer server;
  Client client(server.address());
  const auto result = client.Attend(test::SmallRequest(), test::WithinAMinute());
  EXPECT_TRUE(result.ok()) << result.status();
  for (const char* name : {"http_proxy", "https_proxy", "grpc_proxy"}) unsetenv(name);
}

}  // namespace
}  // namespace attnd

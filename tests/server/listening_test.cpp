// Where a server listens, and what it says where it cannot.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "tests/server/running_server.h"
#include "tests/support/attend_request.h"
#include "tests/support/temporary_folder.h"

namespace attnd::test {
namespace {

// Where a test may put a Unix socket.
class SocketPath {
 public:
  std::string path() const { return folder_.path("socket"); }
  std::string address() const { return "unix:" + path(); }

 private:
  TemporaryFolder folder_;
};

std::string StartError(const server::Config& config) {
  const absl::StatusOr<std::unique_ptr<server::Server>> server = server::Server::Start(config);
  if (server.ok()) return "it serves";
  EXPECT_EQ(server.status().code(), absl::StatusCode::kUnavailable);
  return std::string(server.status().message());
}

TEST(Listening, TheSystemChoosesThePorts) {
  RunningServer first;
  RunningServer second;
  EXPECT_TRUE(first.address().starts_with("127.0.0.1:"));
  EXPECT_NE(first.address(), "127.0.0.1:0");
  EXPECT_NE(first.address(), second.address());
  EXPECT_NE(first.server().metrics_address(), second.server().metrics_address());
  Attend(first.stub(), ToRequest(CaseWithEverything()));
  Attend(second.stub(), ToRequest(CaseWithEverything()));
}

TEST(Listening, OnAUnixSocket) {
  const SocketPath socket;
  server::Config config = LoopbackConfig();
  config.listen = socket.address();
  RunningServer server(config);
  EXPECT_EQ(server.address(), socket.address());
  Attend(server.stub(), ToRequest(CaseWithEverything()));
}

// As a server leaves it that was killed.
TEST(Listening, OnAUnixSocketThatNobodyAcceptsAtAnyMore) {
  const SocketPath socket;
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, socket.path().c_str(), sizeof name.sun_path - 1);
  const int left = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(left, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  close(left);
  server::Config config = LoopbackConfig();
  config.listen = socket.address();
  RunningServer server(config);
  Attend(server.stub(), ToRequest(CaseWithEverything()));
}

TEST(Listening, NotWhereAnotherServerDoes) {
  const SocketPath socket;
  server::Config config = LoopbackConfig();
  RunningServer on_port(config);
  config.listen = on_port.address();
  EXPECT_EQ(StartError(config),
            "cannot serve gRPC at " + on_port.address() + ": the address is in use, or not one of this machine's");

  config.listen = socket.address();
  RunningServer on_socket(config);
  EXPECT_EQ(StartError(config),
            "cannot serve gRPC at " + socket.address() + ": the address is in use, or not one of this machine's");
  Attend(on_port.stub(), ToRequest(CaseWithEverything()));
  Attend(on_socket.stub(), ToRequest(CaseWithEverything()));
}

TEST(Listening, NotAtAnAddressOfAnotherMachine) {
  server::Config config = LoopbackConfig();
  config.listen = "192.0.2.1:0";  // kept for documentation by RFC 5737
  EXPECT_EQ(StartError(config),
            "cannot serve gRPC at 192.0.2.1:0: the address is in use, or not one of this machine's");
}

TEST(Listening, MetricsNotWhereAnotherServersAre) {
  RunningServer server;
  server::Config config = LoopbackConfig();
  config.metrics_listen = server.server().metrics_address();
  EXPECT_EQ(StartError(config), "cannot serve metrics at " + config.metrics_listen +
                                    ": the address is in use, or not one of this machine's");
  config.metrics_listen = "192.0.2.1:0";
  EXPECT_EQ(StartError(config),
            "cannot serve metrics at 192.0.2.1:0: the address is in use, or not one of this machine's");
}

TEST(Listening, AnUnknownMethodIsSaidToBe) {
  RunningServer server;
  for (const char* method : {"/attnd.v1.AttentionService/Attended", "/attnd.v2.AttentionService/Attend", "/x"}) {
    const RawAnswer answer = CallRaw(server.channel(), method, "");
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << method;
    EXPECT_EQ(answer.status.error_message(), "this server has no such method") << method;
  }
}

}  // namespace
}  // namespace attnd::test

// A server that falls silent is noticed, however long a call waits for it.
#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "client/cpp/client.h"
#include "tests/client/cpp/fake_server.h"

namespace attnd {
namespace {

// Speaks as much HTTP/2 as makes a client believe that there is a server: it answers so many pings on each connection,
// nothing else, and then is silent.
class SilentServer {
 public:
  explicit SilentServer(int answered_pings) : answered_pings_(answered_pings) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    accepter_ = std::thread([this] { Accept(); });
  }
  // The client must be gone, since connections end with it.
  ~SilentServer() {
    shutdown(listener_, SHUT_RDWR);
    accepter_.join();
    close(listener_);
    for (std::thread& connection : connections_) connection.join();
  }

  const std::string& address() const { return address_; }
  // On all connections.
  int pings() const { return pings_; }

 private:
  static constexpr std::size_t kPrefaceBytes = 24;
  static constexpr std::size_t kFrameHeaderBytes = 9;
  static constexpr std::size_t kPingBytes = 8;
  static constexpr std::uint8_t kPingType = 6;
  static constexpr std::uint8_t kAckFlag = 1;

  static bool Read(int connection, void* data, std::size_t size) {
    return size == 0 || recv(connection, data, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }

  void Accept() {
    for (int connection = 0; (connection = accept(listener_, nullptr, nullptr)) >= 0;) {
      connections_.emplace_back([this, connection] {
        Serve(connection);
        close(connection);
      });
    }
  }

  void Serve(int connection) {
    constexpr std::uint8_t kEmptySettings[kFrameHeaderBytes] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
    std::uint8_t preface[kPrefaceBytes];
    if (!Read(connection, preface, sizeof preface)) return;
    if (send(connection, kEmptySettings, sizeof kEmptySettings, MSG_NOSIGNAL) < 0) return;
    int answered = 0;
    std::uint8_t header[kFrameHeaderBytes];
    while (Read(connection, header, sizeof header)) {
      std::vector<std::uint8_t> payload(static_cast<std::size_t>(header[0] << 16 | header[1] << 8 | header[2]));
      if (!Read(connection, payload.data(), payload.size())) return;
      if (header[3] != kPingType || payload.size() != kPingBytes) continue;
      ++pings_;
      if (answered++ >= answered_pings_) continue;
      header[4] = kAckFlag;
      std::uint8_t answer[kFrameHeaderBytes + kPingBytes];
      std::memcpy(answer, header, kFrameHeaderBytes);
      std::memcpy(answer + kFrameHeaderBytes, payload.data(), kPingBytes);
      if (send(connection, answer, sizeof answer, MSG_NOSIGNAL) < 0) return;
    }
  }

  const int answered_pings_;
  int listener_ = -1;
  std::string address_;
  std::atomic<int> pings_ = 0;
  std::thread accepter_;
  std::vector<std::thread> connections_;
};

constexpr ClientOptions kSoon{.keepalive_time = absl::Milliseconds(100), .keepalive_timeout = absl::Milliseconds(500)};

absl::Status AttendStatus(const SilentServer& server) {
  Client client(server.address(), kSoon);
  return client.Attend(test::SmallRequest(), {.deadline = absl::Now() + absl::Minutes(5)}).status();
}

TEST(Keepalive, ASilentServerIsNoticed) {
  SilentServer server(/*answered_pings=*/0);
  EXPECT_EQ(AttendStatus(server).code(), absl::StatusCode::kUnavailable);
  EXPECT_GE(server.pings(), 1);
}

// gRPC by itself asks twice while a call waits, and no more.
TEST(Keepalive, ACallThatTakesLongIsWatchedAllTheTime) {
  SilentServer server(/*answered_pings=*/4);
  EXPECT_EQ(AttendStatus(server).code(), absl::StatusCode::kUnavailable);
  EXPECT_GE(server.pings(), 5);
}

}  // namespace
}  // namespace attnd

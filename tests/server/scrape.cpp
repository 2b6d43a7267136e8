#include "tests/server/scrape.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <sstream>
#include <stdexcept>

namespace attnd::test {
namespace {

class Socket {
 public:
  explicit Socket(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    sockaddr_in server = {};
    server.sin_family = AF_INET;
    server.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &server.sin_addr);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0) {
      close(fd_);
      throw std::runtime_error("cannot connect to " + address);
    }
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  void Send(const std::string& bytes) const {
    if (send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) {
      throw std::runtime_error("cannot send a request of some bytes");
    }
  }

  std::string ReceiveAll() const {
    std::string bytes;
    char piece[1 << 14];
    for (ssize_t count = 0; (count = recv(fd_, piece, sizeof piece, 0)) > 0;) {
      bytes.append(piece, static_cast<std::size_t>(count));
    }
    return bytes;
  }

 private:
  const int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

}  // namespace

std::string ScrapeMetrics(const std::string& address) {
  const Socket socket(address);
  // Of version 1.0, so that the answer ends where the connection does.
  socket.Send("GET /metrics HTTP/1.0\r\n\r\n");
  const std::string answer = socket.ReceiveAll();
  const std::size_t header_end = answer.find("\r\n\r\n");
  if (header_end == std::string::npos || answer.substr(0, answer.find("\r\n")).find(" 200 ") == std::string::npos) {
    throw std::runtime_error("no metrics at " + address + ": " + answer.substr(0, 200));
  }
  return answer.substr(header_end + 4);
}

Samples ParseSamples(const std::string& text) {
  Samples samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == std::string::npos) continue;
    samples[line.substr(0, space)] = std::stod(line.substr(space + 1));
  }
  return samples;
}

}  // namespace attnd::test

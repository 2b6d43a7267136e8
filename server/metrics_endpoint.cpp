#include "server/metrics_endpoint.h"

#include <absl/strings/str_cat.h>
#include <absl/synchronization/notification.h>
#include <absl/time/time.h>
#include <netdb.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include "server/metrics.h"
#include "server/process_metrics.h"

namespace attnd::server {
namespace {

class Hook final : public prometheus::Collectable {
 public:
  explicit Hook(std::function<void()> run) : run_(std::move(run)) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    run_();
    return {};
  }

 private:
  const std::function<void()> run_;
};

// Connects to "IP:PORT" or "[IPV6]:PORT" and hangs up; nothing where nobody listens.
void Knock(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0) return;
  const int socket_fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_fd >= 0) {
    [[maybe_unused]] const int refused = connect(socket_fd, found->ai_addr, found->ai_addrlen);
    close(socket_fd);
  }
  freeaddrinfo(found);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Listen(const std::string& address,
                                                                         const Metrics& metrics,
                                                                         std::function<void()> before_scrape) {
  std::unique_ptr<MetricsEndpoint> endpoint(new MetricsEndpoint);
  try {
    // Two threads: a scraper that hangs does not keep the next one out.
    endpoint->exposer_ = std::make_unique<prometheus::Exposer>(
        std::vector<std::string>{"listening_ports", address, "num_threads", "2", "request_timeout_ms", "10000"});
  } catch (const std::exception&) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve metrics at ", address, ": the address is in use, or not one of this machine's"));
  }
  const int port = endpoint->exposer_->GetListeningPorts().at(0);
  endpoint->address_ = absl::StrCat(address.substr(0, address.rfind(':')), ":", port);

  endpoint->before_scrape_ = std::make_shared<Hook>(std::move(before_scrape));
  endpoint->registry_ = metrics.registry();
  endpoint->process_ = std::make_shared<ProcessMetrics>();
  for (const auto& collectable : {endpoint->before_scrape_, endpoint->registry_, endpoint->process_}) {
    endpoint->exposer_->RegisterCollectable(collectable);
  }
  return endpoint;
}

// The HTTP server looks only every two seconds whether it is to end, and at every connection.
MetricsEndpoint::~MetricsEndpoint() {
  if (exposer_ == nullptr) return;
  absl::Notification ended;
  std::thread end([this, &ended] {
    exposer_.reset();
    ended.Notify();
  });
  while (!ended.WaitForNotificationWithTimeout(absl::Milliseconds(5))) Knock(address_);
  end.join();
}

}  // namespace attnd::server

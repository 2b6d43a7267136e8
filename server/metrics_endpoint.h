// Where Prometheus scrapes: an HTTP listener of its own.
#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <string>

namespace prometheus {
class Collectable;
class Exposer;
}  // namespace prometheus

namespace attnd::server {

class Metrics;

// Serves /metrics until it is destroyed. Thread-safe.
class MetricsEndpoint {
 public:
  // Listens at "IP:PORT"; port 0: the system chooses. `before_scrape` runs ahead of each scrape, to set what is only
  // worth a look then. UNAVAILABLE, naming the address, where that cannot be listened at.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Listen(const std::string& address, const Metrics& metrics,
                                                                 std::function<void()> before_scrape);
  ~MetricsEndpoint();

  // "IP:PORT" with the port in use.
  const std::string& address() const { return address_; }

 private:
  MetricsEndpoint() = default;

  std::string address_;
  // Collected in this order; the exposer only looks at them.
  std::shared_ptr<prometheus::Collectable> before_scrape_;
  std::shared_ptr<prometheus::Collectable> registry_;
  std::shared_ptr<prometheus::Collectable> process_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace attnd::server

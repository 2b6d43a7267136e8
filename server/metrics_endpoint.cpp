#include "server/metrics_endpoint.h"

#include <absl/strings/str_cat.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <exception>
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

MetricsEndpoint::~MetricsEndpoint() = default;

}  // namespace attnd::server

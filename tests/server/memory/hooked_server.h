// attnd in a process of its own, whose allocations are counted.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/server/memory/malloc_counters.h"
#include "tests/support/temporary_folder.h"

namespace attnd::test {

// Serves from construction to destruction. Both throw, or fail the test, where that does not go well.
class HookedServer {
 public:
  explicit HookedServer(const std::vector<std::string>& flags);
  ~HookedServer();
  HookedServer(const HookedServer&) = delete;
  HookedServer& operator=(const HookedServer&) = delete;

  const std::string& grpc_address() const { return grpc_address_; }
  const std::string& metrics_address() const { return metrics_address_; }

  // What it has allocated.
  MallocCounters& allocations() { return *counters_; }

 private:
  void AwaitPorts(const std::string& path);

  const TemporaryFolder folder_;
  MallocCounters* counters_ = nullptr;
  pid_t process_ = -1;
  std::string grpc_address_;
  std::string metrics_address_;
};

}  // namespace attnd::test

#include "tests/server/memory/hooked_server.h"

#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace attnd::test {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(1);

MallocCounters* MapNewCounters(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* memory = MAP_FAILED;
  if (file >= 0 && ftruncate(file, sizeof(MallocCounters)) == 0) {
    memory = mmap(nullptr, sizeof(MallocCounters), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  close(file);
  if (memory == MAP_FAILED) throw std::runtime_error("cannot map " + path);
  return static_cast<MallocCounters*>(memory);
}

// In the child: becomes attnd, which ends when this test does.
[[noreturn]] void Execute(const std::vector<std::string>& flags, const std::string& counters_path) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setenv("LD_PRELOAD", ATTND_MALLOC_HOOK, 1);
  setenv(kMallocCountersVariable, counters_path.c_str(), 1);
  std::vector<char*> arguments = {const_cast<char*>("attnd")};
  for (const std::string& flag : flags) arguments.push_back(const_cast<char*>(flag.c_str()));
  arguments.push_back(nullptr);
  execv(ATTND_BINARY, arguments.data());
  _exit(127);
}

}  // namespace

HookedServer::HookedServer(const std::vector<std::string>& flags) {
  const std::string ports_path = folder_.path("ports");
  const std::string counters_path = folder_.path("counters");
  std::vector<std::string> all = {"--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", "--port-file=" + ports_path};
  all.insert(all.end(), flags.begin(), flags.end());
  counters_ = MapNewCounters(counters_path);
  process_ = fork();
  if (process_ == 0) Execute(all, counters_path);
  AwaitPorts(ports_path);
}

void HookedServer::AwaitPorts(const std::string& path) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (absl::Now() < deadline && waitpid(process_, nullptr, WNOHANG) == 0) {
    if (std::ifstream file(path); file) {
      const nlohmann::json ports = nlohmann::json::parse(file);
      grpc_address_ = ports.at("grpc");
      metrics_address_ = ports.at("metrics");
      return;
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  throw std::runtime_error("attnd does not serve");
}

HookedServer::~HookedServer() {
  kill(process_, SIGTERM);
  int status = 0;
  EXPECT_EQ(waitpid(process_, &status, 0), process_);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "attnd ended with " << status;
  munmap(counters_, sizeof(MallocCounters));
}

}  // namespace attnd::test

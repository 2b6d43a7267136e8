#include "client/cli/bench.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/synchronization/notification.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <thread>
#include <utility>

#include "client/cli/bench_load.h"
#include "client/cli/bench_problem.h"
#include "client/cli/bench_recorder.h"
#include "client/cli/bench_report.h"
#include "client/cli/exit_code.h"
#include "client/cli/failure.h"
#include "client/cli/terminal.h"
#include "client/cli/text.h"

namespace attnd::cli {
namespace {

constexpr int kOpenLoopConcurrency = 64;
constexpr absl::Duration kDefaultDuration = absl::Seconds(10);
// How soon a call that is on its way notices that the load is to end.
constexpr absl::Duration kPatience = absl::Milliseconds(100);
constexpr absl::Duration kProgressInterval = absl::Milliseconds(500);

std::atomic<bool> stopped = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

// The first signal ends the load; a second one ends the process.
void StopAtSignals() {
  struct sigaction action{};
  action.sa_handler = [](int) { stopped = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

absl::StatusOr<BenchShape> ShapeOf(const BenchOptions& options) {
  BenchShape shape;
  if (options.preset) {
    auto preset = BenchPreset(*options.preset);
    if (!preset.ok()) return preset.status();
    shape = *std::move(preset);
  } else {
    shape = {.batch = options.batch,
             .heads = options.heads,
             .key_value_heads = options.key_value_heads.value_or(options.heads),
             .queries = options.queries,
             .keys = options.keys.value_or(options.queries),
             .head_size = options.head_size,
             .value_head_size = options.value_head_size.value_or(options.head_size),
             .key_lengths = options.key_lengths};
  }
  shape.causal = options.causal;
  shape.element_type = options.element_type;
  return shape;
}

LoadOptions LoadOf(const BenchOptions& options) {
  LoadOptions load{.concurrency = options.concurrency.value_or(options.rate ? kOpenLoopConcurrency : 1),
                   .rate = options.rate,
                   .warm_up = absl::Seconds(options.warm_up_seconds),
                   .timeout = absl::Seconds(options.timeout_seconds)};
  if (options.requests) {
    load.requests = *options.requests;
  } else {
    load.duration = kDefaultDuration;
  }
  if (options.seconds) load.duration = absl::Seconds(*options.seconds);
  return load;
}

using Send = std::function<AttendCall(const AttendRequest&, const CallOptions&)>;

Send Sender(Client& client, const BenchOptions& options, const LoadOptions& load) {
  if (!options.stream) {
    return
        [&client](const AttendRequest& request, const CallOptions& call) { return client.AttendAsync(request, call); };
  }
  StreamOptions bounds;
  bounds.max_requests_in_flight = load.concurrency;
  auto stream = std::make_shared<AttendStream>(client.OpenStream(bounds));
  return [stream](const AttendRequest& request, const CallOptions& call) { return stream->Attend(request, call); };
}

absl::StatusOr<Report> CallOnce(const Send& send, const AttendRequest& request, absl::Duration timeout) {
  AttendCall call = send(request, {.deadline = absl::Now() + timeout});
  while (!call.WaitUntil(absl::Now() + kPatience)) {
    if (stopped) call.Cancel();
  }
  const auto result = call.Take();
  if (!result.ok()) return result.status();
  return result->report;
}

// Says on a terminal how it goes, while it lives.
class Progress {
 public:
  explicit Progress(const Recorder& recorder) : recorder_(recorder) {
    if (isatty(STDERR_FILENO) != 0) thread_ = std::thread([this] { Run(); });
  }
  ~Progress() {
    done_.Notify();
    if (!thread_.joinable()) return;
    thread_.join();
    std::fputs("\r\x1b[K", stderr);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  void Run() {
    const absl::Time start = absl::Now();
    absl::Time last = start;
    std::size_t seen = 0;
    while (!done_.WaitForNotificationWithTimeout(kProgressInterval)) {
      const absl::Time now = absl::Now();
      const auto latencies = recorder_.LatenciesFrom(seen);
      seen += latencies.size();
      const std::string line = BenchProgress(now - start, seen, latencies, now - last, recorder_.failed());
      std::fprintf(stderr, "\r%s\x1b[K", Fit(line, TerminalWidth()).c_str());
      last = now;
    }
  }

  const Recorder& recorder_;
  absl::Notification done_;
  std::thread thread_;
};

}  // namespace

int RunBench(const BenchOptions& options) {
  const auto shape = ShapeOf(options);
  if (!shape.ok()) return FailInput(shape.status());
  const auto problem = BenchProblem::Create(*shape);
  if (!problem.ok()) return FailInput(problem.status());
  const AttendRequest request = problem->request();
  const LoadOptions load = LoadOf(options);

  StopAtSignals();
  Client client(options.server);
  const Send send = Sender(client, options, load);
  Recorder recorder;
  absl::Duration elapsed;
  {
    const Progress progress(recorder);
    SteadyClock clock;
    elapsed = RunLoad(
        load, clock, [&](absl::Duration timeout) { return CallOnce(send, request, timeout); }, recorder, stopped);
  }

  const BenchResult result{.shape = *shape,
                           .tensor_bytes = problem->tensor_bytes(),
                           .stream = options.stream,
                           .load = load,
                           .elapsed = elapsed,
                           .interrupted = stopped,
                           .record = recorder.Summary()};
  const auto report = options.json ? BenchReportAsJson : BenchReportAsText;
  std::fputs(report(result).c_str(), stdout);
  return result.record.failed() == 0 ? kOk : kCallFailed;
}

}  // namespace attnd::cli

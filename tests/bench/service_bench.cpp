// What a call costs: attention by a server on loopback, beside the same problems computed here by the core with as many
// workers as the server has.
//
//   attnd_service_bench ADDRESS SECONDS
//
// Prints tables whose figures are medians. Here, by calls and on a stream take turns for SECONDS a row, so that a busy
// neighbour slows all three. tests/bench/service runs it.
#include <absl/status/statusor.h>
#include <absl/strings/numbers.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/cli/bench_problem.h"
#include "client/cpp/client.h"
#include "core/engine.h"
#include "core/problem.h"

namespace attnd::bench {
namespace {

constexpr int kCallers = 8;
// Of one way, before the next one's.
constexpr absl::Duration kTurn = absl::Milliseconds(50);
constexpr absl::Duration kTurnOfManyCallers = absl::Milliseconds(250);

template <typename T>
T OrExit(absl::StatusOr<T> result) {
  if (result.ok()) return *std::move(result);
  std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
  std::exit(1);
}

double Median(std::vector<double> numbers) {
  const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  std::nth_element(numbers.begin(), middle, numbers.end());
  return *middle;
}

double SecondsSince(absl::Time start) { return absl::ToDoubleSeconds(absl::Now() - start); }

core::TensorDescription Describe(const TensorView& tensor) {
  return {core::ElementType::kFloat32, core::Shape(tensor.shape.begin(), tensor.shape.end())};
}

// One problem in float32, as the client and, in the same memory, as the core takes it.
class Problem {
 public:
  explicit Problem(const cli::BenchShape& shape)
      : elements_(OrExit(cli::BenchProblem::Create(shape))),
        request_(elements_.request()),
        checked_(OrExit(core::CheckProblem(Description(request_), {}))) {}

  const AttendRequest& request() const { return request_; }

  // `output` is the caller's own, of float32 [B, H, Sq, Dv].
  void ComputeHere(core::Engine& engine, Tensor& output) const {
    OrExit(engine.Run(checked_, {.query = request_.query.data,
                                 .key = request_.key.data,
                                 .value = request_.value.data,
                                 .output = output.data()}));
  }

  Tensor MakeOutput() const {
    const cli::BenchShape& shape = elements_.shape();
    return OrExit(Tensor::Create(ElementType::kFloat32,
                                 {shape.batch, shape.heads, shape.queries, shape.value_head_size}, "output"));
  }

  double megabytes() const { return static_cast<double>(elements_.tensor_bytes()) / 1e6; }

 private:
  static core::ProblemDescription Description(const AttendRequest& request) {
    const auto size_bytes = [](const TensorView& tensor) {
      return static_cast<std::int64_t>(OrExit(SizeBytes(tensor.element_type, tensor.shape, "tensor")));
    };
    core::ProblemDescription description{
        .query = Describe(request.query),
        .key = Describe(request.key),
        .value = Describe(request.value),
        .size_bytes = {{size_bytes(request.query), size_bytes(request.key), size_bytes(request.value)}}};
    description.mask.key_lengths = request.mask.key_lengths;
    return description;
  }

  cli::BenchProblem elements_;
  AttendRequest request_;
  core::Problem checked_;
};

// Where attention is computed, and how it gets there.
class Bench {
 public:
  static constexpr int kWays = 3;
  static constexpr const char* kWayNames[kWays] = {"here", "by calls", "on a stream"};

  Bench(const std::string& address, absl::Duration time)
      : time_(time),
        client_(address),
        stream_(client_.OpenStream()),
        worker_count_(OrExit(client_.GetServerInfo()).worker_count),
        engine_({.worker_count = worker_count_}) {}

  int worker_count() const { return worker_count_; }

  // Milliseconds from the beginning of a request until its answer is there, each way, for one caller.
  std::array<double, kWays> Latencies(const Problem& problem) {
    Tensor output = problem.MakeOutput();
    std::array<std::vector<double>, kWays> seconds;
    TakeTurns([&](int way, bool is_measured) {
      const absl::Time turn = absl::Now();
      do {
        const absl::Time start = absl::Now();
        Attend(way, problem, output);
        if (is_measured) seconds[static_cast<std::size_t>(way)].push_back(SecondsSince(start));
      } while (absl::Now() - turn < kTurn);
    });
    std::array<double, kWays> medians{};
    for (std::size_t way = 0; way < kWays; ++way) medians[way] = Median(seconds[way]) * 1e3;
    return medians;
  }

  // Answers a second, each way, for kCallers that do not wait for each other.
  std::array<double, kWays> Rates(const Problem& problem) {
    std::array<std::vector<double>, kWays> rates;
    TakeTurns([&](int way, bool is_measured) {
      const double rate = RateOfATurn(way, problem);
      if (is_measured) rates[static_cast<std::size_t>(way)].push_back(rate);
    });
    std::array<double, kWays> medians{};
    for (std::size_t way = 0; way < kWays; ++way) medians[way] = Median(rates[way]);
    return medians;
  }

 private:
  // A round that warms up, and then one at least that is measured.
  void TakeTurns(const std::function<void(int way, bool is_measured)>& turn) const {
    const auto round = [&](bool is_measured) {
      for (int way = 0; way < kWays; ++way) turn(way, is_measured);
    };
    round(false);
    const absl::Time start = absl::Now();
    do {
      round(true);
    } while (absl::Now() - start < time_);
  }

  void Attend(int way, const Problem& problem, Tensor& output) {
    if (way == 0) return problem.ComputeHere(engine_, output);
    AttendCall call = way == 1 ? client_.AttendAsync(problem.request()) : stream_.Attend(problem.request());
    output = OrExit(call.Take()).output;
  }

  double RateOfATurn(int way, const Problem& problem) {
    std::vector<std::thread> callers;
    std::vector<int> answers(kCallers);
    const absl::Time turn = absl::Now();
    for (int& count : answers) {
      callers.emplace_back([&] {
        Tensor output = problem.MakeOutput();
        for (; count == 0 || absl::Now() - turn < kTurnOfManyCallers; ++count) Attend(way, problem, output);
      });
    }
    for (std::thread& caller : callers) caller.join();
    double sum = 0;
    for (const int count : answers) sum += count;
    return sum / SecondsSince(turn);
  }

  const absl::Duration time_;
  Client client_;
  AttendStream stream_;
  const int worker_count_;
  core::Engine engine_;
};

void PrintHeader(const char* first, const std::vector<const char*>& columns) {
  std::printf("\n| %s |", first);
  for (const char* const column : columns) std::printf(" %s |", column);
  std::printf("\n|---|");
  for (std::size_t i = 0; i < columns.size(); ++i) std::printf("---|");
  std::printf("\n");
}

// The two problems that README.md names.
void PrintNamedProblems(Bench& bench) {
  for (const bool is_rate : {false, true}) {
    PrintHeader(is_rate ? "answers a second, 8 callers" : "ms, 1 caller",
                {Bench::kWayNames[0], Bench::kWayNames[1], Bench::kWayNames[2]});
    for (const char* const name : {"minilm-layer", "bert-base-layer"}) {
      const Problem problem(OrExit(cli::BenchPreset(name)));
      std::printf("| %s |", ToString(OrExit(cli::BenchPreset(name))).c_str());
      for (const double figure : is_rate ? bench.Rates(problem) : bench.Latencies(problem)) {
        std::printf(is_rate ? " %.1f |" : " %.3f |", figure);
      }
      std::printf("\n");
      std::fflush(stdout);
    }
  }
}

// How what a call adds shrinks beside what is computed, which grows with the square of the length.
void PrintLengths(Bench& bench) {
  PrintHeader("B1 H12 D64, S", {"MB there and back", "ms here", "ms by a call", "the call adds"});
  for (std::int64_t length = 16; length <= 2048; length *= 2) {
    const Problem problem({.heads = 12, .key_value_heads = 12, .queries = length, .keys = length});
    const auto [here, call, stream] = bench.Latencies(problem);
    std::printf("| %d | %.2f | %.3f | %.3f | %.3f ms, %.0f %% |\n", static_cast<int>(length), problem.megabytes(), here,
                call, call - here, (call - here) / here * 100);
    std::fflush(stdout);
  }
}

int Main(int argc, char** argv) {
  double seconds = 0;
  if (argc != 3 || !absl::SimpleAtod(argv[2], &seconds)) {
    std::fputs("Usage: attnd_service_bench ADDRESS SECONDS\n", stderr);
    return 2;
  }
  Bench bench(argv[1], absl::Seconds(seconds));
  std::printf("Workers here and there: %d\n", bench.worker_count());
  PrintNamedProblems(bench);
  PrintLengths(bench);
  return 0;
}

}  // namespace
}  // namespace attnd::bench

int main(int argc, char** argv) { return attnd::bench::Main(argc, argv); }

// Asks for attention again and again, in one of several ways, and says how long each took. Reads a command of JSON a
// line, and answers each with a line:
//
//   {"do": "prepare", "row": {…}}  →  {"request_bytes": …, "tensor_bytes": …}
//   {"do": "answer_bytes", "address": A}  →  {"answer_bytes": …}: how long attnd's answer to the problem is
//   {"do": "difference", "address": A, "workers": N}  →  {"difference": …}: the largest one between the answer from
//   there and the core's
//   {"do": "run", "way": W, "address": A, "workers": N, "callers": N, "seconds": S}
//       →  {"seconds": [… of each call], "queue_seconds": [… that attnd reports of each], "elapsed_seconds": …}
//   {"do": "repeat", "workers": N, "calls": N}  →  {"resident_bytes": [before, after]}: calls of the core in this
//   process
//
// A row is one of rows.py. The ways are: "here", the core in this process with so many workers; "call" and "stream",
// attnd's client; "bare call", a ready message to attnd without its client; "echo" and "echo stream", the same bytes to
// attnd_echo_server. Each of `callers` threads asks, waits, and asks again until the time is over, and at least once.
// service.py says what is measured.
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/cli/bench_problem.h"
#include "client/cpp/channel.h"
#include "client/cpp/client.h"
#include "client/cpp/request_message.h"
#include "client/cpp/response_message.h"
#include "core/engine.h"
#include "core/problem.h"
#include "tests/bench/bare_client.h"
#include "tests/bench/process_memory.h"

namespace attnd::bench {
namespace {

using nlohmann::json;

template <typename T>
T OrThrow(absl::StatusOr<T> result) {
  if (!result.ok()) throw std::runtime_error(result.status().ToString());
  return *std::move(result);
}

cli::BenchShape ShapeOf(const json& row) {
  const auto number = [&](const char* name) { return row.at(name).get<std::int64_t>(); };
  return {.batch = number("batch"),
          .heads = number("heads"),
          .key_value_heads = number("key_value_heads"),
          .queries = number("queries"),
          .keys = number("keys"),
          .head_size = number("head_size"),
          .value_head_size = number("head_size"),
          .key_lengths = row.at("key_lengths").get<std::vector<std::int64_t>>()};
}

// One problem in float32, as the client, the wire and, in the same memory, the core takes it.
class Problem {
 public:
  explicit Problem(const cli::BenchShape& shape)
      : elements_(OrThrow(cli::BenchProblem::Create(shape))),
        request_(elements_.request()),
        parts_(OrThrow(EncodeRequest(request_))),
        checked_(OrThrow(core::CheckProblem(Description(request_), {}))) {}

  const AttendRequest& request() const { return request_; }
  std::int64_t tensor_bytes() const { return elements_.tensor_bytes(); }

  // `output` is the caller's own, of MakeOutput.
  void ComputeHere(core::Engine& engine, Tensor& output) const {
    OrThrow(engine.Run(checked_, {.query = request_.query.data,
                                  .key = request_.key.data,
                                  .value = request_.value.data,
                                  .output = output.data()}));
  }

  Tensor MakeOutput() const {
    const cli::BenchShape& shape = elements_.shape();
    return OrThrow(Tensor::Create(ElementType::kFloat32,
                                  {shape.batch, shape.heads, shape.queries, shape.value_head_size}, "output"));
  }

  // The request as it travels. Refers to this problem's memory.
  grpc::ByteBuffer Message() const {
    std::vector<grpc::Slice> slices;
    for (const MessagePart& part : parts_) {
      slices.emplace_back(part.owned.data(), part.owned.size(), grpc::Slice::STATIC_SLICE);
      if (part.borrowed != nullptr) {
        slices.emplace_back(part.borrowed, part.borrowed_size_bytes, grpc::Slice::STATIC_SLICE);
      }
    }
    return {slices.data(), slices.size()};
  }

 private:
  static core::TensorDescription Describe(const TensorView& tensor) {
    return {core::ElementType::kFloat32, core::Shape(tensor.shape.begin(), tensor.shape.end())};
  }

  static core::ProblemDescription Description(const AttendRequest& request) {
    const auto size_bytes = [](const TensorView& tensor) {
      return static_cast<std::int64_t>(OrThrow(SizeBytes(tensor.element_type, tensor.shape, "tensor")));
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
  std::vector<MessagePart> parts_;
  core::Problem checked_;
};

// A server, as attnd's client and without it.
struct Connection {
  explicit Connection(const std::string& address)
      : client(address), stream(client.OpenStream()), channel(MakeCallChannel(address, {})) {}

  Client client;
  AttendStream stream;
  std::shared_ptr<grpc::Channel> channel;
  std::map<std::string, std::unique_ptr<BareStream>> bare_streams;  // by method
};

// Asks once, and says for how long that waited for a worker, as far as attnd reports it.
using Ask = std::function<double()>;

class Bench {
 public:
  json Prepare(const json& command) {
    problem_.reset();
    problem_.emplace(ShapeOf(command.at("row")));
    return {{"request_bytes", problem_->Message().Length()}, {"tensor_bytes", problem_->tensor_bytes()}};
  }

  json AnswerBytes(const json& command) {
    answer_bytes_ = BareCall(ConnectionTo(command).channel, kAttend, problem_->Message()).Length();
    return {{"answer_bytes", answer_bytes_}};
  }

  json Difference(const json& command) {
    grpc::ByteBuffer answer = BareCall(ConnectionTo(command).channel, kAttend, problem_->Message());
    const Tensor theirs = OrThrow(DecodeResponse(&answer)).output;
    Tensor ours = problem_->MakeOutput();
    problem_->ComputeHere(EngineWith(command), ours);
    if (theirs.shape() != ours.shape()) throw std::runtime_error("the answer has another shape");
    const auto* const numbers = reinterpret_cast<const float*>(ours.data());
    const auto* const their_numbers = reinterpret_cast<const float*>(theirs.data());
    float difference = 0;
    for (std::size_t i = 0; i < ours.size_bytes() / sizeof(float); ++i) {
      difference = std::max(difference, std::abs(numbers[i] - their_numbers[i]));
    }
    return {{"difference", difference}};
  }

  json Run(const json& command) {
    struct Caller {
      std::vector<double> seconds;
      std::vector<double> queue_seconds;
    };
    std::vector<Caller> callers(command.at("callers").get<std::size_t>());
    const absl::Duration time = absl::Seconds(command.at("seconds").get<double>());
    const absl::Time start = absl::Now();
    const auto call = [&](Caller& caller, const Ask& ask) {
      do {
        const absl::Time asked_at = absl::Now();
        caller.queue_seconds.push_back(ask());
        caller.seconds.push_back(absl::ToDoubleSeconds(absl::Now() - asked_at));
      } while (absl::Now() - start < time);
    };
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < callers.size(); ++i) {
      threads.emplace_back(call, std::ref(callers[i]), MakeAsk(command));
    }
    call(callers[0], MakeAsk(command));
    for (std::thread& thread : threads) thread.join();
    const double elapsed_seconds = absl::ToDoubleSeconds(absl::Now() - start);
    Caller all;
    for (const Caller& caller : callers) {
      all.seconds.insert(all.seconds.end(), caller.seconds.begin(), caller.seconds.end());
      all.queue_seconds.insert(all.queue_seconds.end(), caller.queue_seconds.begin(), caller.queue_seconds.end());
    }
    return {{"seconds", all.seconds}, {"queue_seconds", all.queue_seconds}, {"elapsed_seconds", elapsed_seconds}};
  }

  json Repeat(const json& command) {
    const Ask ask = MakeHere(command);
    const auto calls = command.at("calls").get<std::int64_t>();
    for (std::int64_t i = 0; i < calls / 10; ++i) ask();
    const std::int64_t before = StatusBytes("VmRSS:");
    for (std::int64_t i = 0; i < calls; ++i) ask();
    return {{"resident_bytes", {before, StatusBytes("VmRSS:")}}};
  }

 private:
  static constexpr const char* kAttend = "/attnd.v1.AttentionService/Attend";

  Connection& ConnectionTo(const json& command) {
    std::unique_ptr<Connection>& connection = connections_[command.at("address").get<std::string>()];
    if (connection == nullptr) connection = std::make_unique<Connection>(command.at("address").get<std::string>());
    return *connection;
  }

  core::Engine& EngineWith(const json& command) {
    const int workers = command.at("workers").get<int>();
    std::unique_ptr<core::Engine>& engine = engines_[workers];
    if (engine == nullptr) engine = std::make_unique<core::Engine>(core::EngineOptions{.worker_count = workers});
    return *engine;
  }

  Ask MakeHere(const json& command) {
    return [this, &engine = EngineWith(command), output = std::make_shared<Tensor>(problem_->MakeOutput())] {
      problem_->ComputeHere(engine, *output);
      return 0.0;
    };
  }

  // For one thread.
  Ask MakeAsk(const json& command) {
    const auto way = command.at("way").get<std::string>();
    if (way == "here") return MakeHere(command);
    Connection& connection = ConnectionTo(command);
    if (way == "call") {
      return
          [this, &connection] { return OrThrow(connection.client.Attend(problem_->request())).report.queue_seconds; };
    }
    if (way == "stream") {
      return [this, &connection] {
        return OrThrow(connection.stream.Attend(problem_->request()).Take()).report.queue_seconds;
      };
    }
    if (way == "echo stream") {
      const std::string method = absl::StrCat("/stream/", answer_bytes_);
      std::unique_ptr<BareStream>& stream = connection.bare_streams[method];
      if (stream == nullptr) stream = std::make_unique<BareStream>(connection.channel, method);
      return [stream = stream.get(), message = problem_->Message()] {
        stream->Call(message);
        return 0.0;
      };
    }
    if (way != "echo" && way != "bare call") throw std::runtime_error("unknown way " + way);
    const std::string method = way == "echo" ? absl::StrCat("/unary/", answer_bytes_) : kAttend;
    return [&connection, method, message = problem_->Message()] {
      BareCall(connection.channel, method, message);
      return 0.0;
    };
  }

  std::optional<Problem> problem_;
  std::size_t answer_bytes_ = 0;
  std::map<std::string, std::unique_ptr<Connection>> connections_;  // by address
  std::map<int, std::unique_ptr<core::Engine>> engines_;            // by their workers
};

json Answer(Bench& bench, const json& command) {
  const auto what = command.at("do").get<std::string>();
  if (what == "prepare") return bench.Prepare(command);
  if (what == "answer_bytes") return bench.AnswerBytes(command);
  if (what == "difference") return bench.Difference(command);
  if (what == "run") return bench.Run(command);
  if (what == "repeat") return bench.Repeat(command);
  throw std::runtime_error("unknown command " + what);
}

}  // namespace
}  // namespace attnd::bench

int main() {
  attnd::bench::Bench bench;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << attnd::bench::Answer(bench, nlohmann::json::parse(line)) << '\n' << std::flush;
  }
  return 0;
}

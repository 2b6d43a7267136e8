#include "client/cli/bench_report.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <nlohmann/json.hpp>

#include "client/cli/text.h"

namespace attnd::cli {
namespace {

using Json = nlohmann::ordered_json;

double PerSecond(double amount, absl::Duration time) {
  return time > absl::ZeroDuration() ? amount / absl::ToDoubleSeconds(time) : 0;
}

double AnswersPerSecond(const BenchResult& result) {
  return PerSecond(static_cast<double>(result.record.latency.count), result.elapsed);
}

double GigabytesPerSecond(const BenchResult& result) {
  return AnswersPerSecond(result) * static_cast<double>(result.tensor_bytes) / 1e9;
}

double GigaflopsPerSecond(const BenchResult& result) {
  return AnswersPerSecond(result) * UsefulOperations(result.shape) / 1e9;
}

Json SecondsOrNull(absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return nullptr;
  return absl::ToDoubleSeconds(duration);
}

Json AsJson(const BenchShape& shape) {
  return {{"batch", shape.batch},
          {"heads", shape.heads},
          {"key_value_heads", shape.key_value_heads},
          {"queries", shape.queries},
          {"keys", shape.keys},
          {"head_size", shape.head_size},
          {"value_head_size", shape.value_head_size},
          {"element_type", std::string(ElementTypeName(shape.element_type))},
          {"causal", shape.causal.has_value()},
          {"key_lengths", shape.key_lengths.empty() ? Json(nullptr) : Json(shape.key_lengths)}};
}

Json LoadAsJson(const BenchResult& result) {
  const LoadOptions& load = result.load;
  return {{"loop", load.rate ? "open" : "closed"},
          {"rate_per_second", load.rate ? Json(*load.rate) : Json(nullptr)},
          {"concurrency", load.concurrency},
          {"stream", result.stream},
          {"warm_up_seconds", absl::ToDoubleSeconds(load.warm_up)},
          {"seconds", SecondsOrNull(load.duration)},
          {"timeout_seconds", absl::ToDoubleSeconds(load.timeout)}};
}

Json LatencyAsJson(const LatencySummary& latency) {
  if (latency.count == 0) return nullptr;
  return {
      {"mean", latency.mean}, {"p50", latency.p50}, {"p90", latency.p90}, {"p99", latency.p99}, {"max", latency.max}};
}

Json ServerAsJson(const LoadRecord& record) {
  if (record.latency.count == 0) return nullptr;
  return {{"kernel", record.kernel},
          {"mean_decode_seconds", record.server.decode},
          {"mean_queue_seconds", record.server.queue},
          {"mean_compute_seconds", record.server.compute},
          {"mean_encode_seconds", record.server.encode}};
}

Json FailuresAsJson(const LoadRecord& record) {
  Json json = Json::object();
  for (const auto& [code, failures] : record.failures) {
    json[absl::StatusCodeToString(code)] = {{"count", failures.count}, {"first_text", failures.first_text}};
  }
  return json;
}

std::string LoadAsText(const BenchResult& result) {
  const LoadOptions& load = result.load;
  std::string text = load.rate ? absl::StrFormat("open loop, %g requests a second, at most %d on their way", *load.rate,
                                                 load.concurrency)
                               : absl::StrFormat("closed loop, %d at once", load.concurrency);
  absl::StrAppendFormat(&text, ", %s, %.1f s after %.1f s of warm-up", result.stream ? "one stream" : "a call each",
                        absl::ToDoubleSeconds(result.elapsed), absl::ToDoubleSeconds(load.warm_up));
  if (result.interrupted) text += ", interrupted";
  return text;
}

}  // namespace

std::string BenchReportAsJson(const BenchResult& result) {
  const LoadRecord& record = result.record;
  const Json json = {{"problem", AsJson(result.shape)},
                     {"load", LoadAsJson(result)},
                     {"interrupted", result.interrupted},
                     {"elapsed_seconds", absl::ToDoubleSeconds(result.elapsed)},
                     {"answered", record.latency.count},
                     {"failed", record.failed()},
                     {"failures", FailuresAsJson(record)},
                     {"latency_seconds", LatencyAsJson(record.latency)},
                     {"server", ServerAsJson(record)},
                     {"answers_per_second", AnswersPerSecond(result)},
                     {"gigabytes_per_second", GigabytesPerSecond(result)},
                     {"gigaflops_per_second", GigaflopsPerSecond(result)}};
  return absl::StrCat(json.dump(2, ' ', false, Json::error_handler_t::replace), "\n");
}

std::string BenchReportAsText(const BenchResult& result) {
  const LoadRecord& record = result.record;
  std::string text = absl::StrFormat("%-12s %s\n%-12s %s\n%-12s %d, %d failed\n", "problem", ToString(result.shape),
                                     "load", LoadAsText(result), "answered", record.latency.count, record.failed());
  for (const auto& [code, failures] : record.failures) {
    absl::StrAppendFormat(&text, "%-12s %d with %s, the first: %s\n", "failed", failures.count,
                          std::string(absl::StatusCodeToString(code)), Printable(failures.first_text));
  }
  if (record.latency.count == 0) return text;
  const LatencySummary& latency = record.latency;
  absl::StrAppendFormat(&text, "%-12s mean %.3f ms, p50 %.3f ms, p90 %.3f ms, p99 %.3f ms, largest %.3f ms\n",
                        "latency", latency.mean * 1e3, latency.p50 * 1e3, latency.p90 * 1e3, latency.p99 * 1e3,
                        latency.max * 1e3);
  const ServerPhases& server = record.server;
  absl::StrAppendFormat(&text, "%-12s mean decode %.3f ms, queue %.3f ms, compute %.3f ms, encode %.3f ms; %s\n",
                        "in server", server.decode * 1e3, server.queue * 1e3, server.compute * 1e3, server.encode * 1e3,
                        Printable(record.kernel));
  absl::StrAppendFormat(&text, "%-12s %.1f answers a second, %.3g GB/s of tensors, %.3g GF/s of useful work\n",
                        "throughput", AnswersPerSecond(result), GigabytesPerSecond(result), GigaflopsPerSecond(result));
  return text;
}

std::string BenchProgress(absl::Duration elapsed, std::int64_t answered,
                          const std::vector<double>& last_latencies_seconds, absl::Duration interval,
                          std::int64_t failed) {
  const LatencySummary last = Summarize(last_latencies_seconds);
  return absl::StrFormat("%.0f s: %d answered, %.1f a second, p50 %.3g ms, p99 %.3g ms, %d failed",
                         absl::ToDoubleSeconds(elapsed), answered, PerSecond(static_cast<double>(last.count), interval),
                         last.p50 * 1e3, last.p99 * 1e3, failed);
}

}  // namespace attnd::cli

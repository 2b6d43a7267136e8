// What /metrics offers: names, types and labels by a golden list, and what is there from the start.
#include "server/metrics.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/server/running_server.h"

namespace attnd::test {
namespace {

using Lines = std::set<std::string>;

Lines ReadLines(const std::string& path) {
  std::ifstream file(path);
  Lines lines;
  for (std::string line; std::getline(file, line);) lines.insert(line);
  return lines;
}

// The lines of `some` that are not among the `others`, as text.
std::string Missing(const Lines& some, const Lines& others) {
  Lines missing;
  std::ranges::set_difference(some, others, std::inserter(missing, missing.end()));
  return absl::StrJoin(missing, "\n");
}

// "name{labels}" of a sample line, without what differs from machine to machine (the labels of the build) and without a
// histogram's own: its buckets, sum and count are one metric.
std::string Series(absl::string_view line, const std::map<std::string, std::string>& types) {
  std::string series(line.substr(0, line.rfind(' ')));
  const std::size_t name_end = std::min(series.find('{'), series.size());
  std::string name = series.substr(0, name_end);
  for (const char* suffix : {"_bucket", "_sum", "_count"}) {
    const std::string base = name.substr(0, name.size() - std::min(name.size(), std::string(suffix).size()));
    if (name.ends_with(suffix) && types.contains(base)) name = base;
  }
  std::vector<std::string> labels;
  if (name_end < series.size()) {
    const absl::string_view text = absl::string_view(series).substr(name_end + 1, series.size() - name_end - 2);
    for (const absl::string_view label : absl::StrSplit(text, ',')) {
      if (absl::StartsWith(label, "le=") || absl::StartsWith(label, "quantile=")) continue;
      const bool of_build = name == "attnd_build_info";
      labels.emplace_back(of_build ? label.substr(0, label.find('=')) : label);
    }
  }
  return labels.empty() ? name : absl::StrCat(name, "{", absl::StrJoin(labels, ","), "}");
}

// "name type" of each metric, and each of its series. Without those that the HTTP server has of itself, which differ
// between releases of its library.
Lines Names(const std::string& scraped) {
  const std::vector<std::string> lines = absl::StrSplit(scraped, '\n', absl::SkipEmpty());
  Lines names;
  std::map<std::string, std::string> types;
  for (const std::string& line : lines) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (!line.starts_with("# TYPE ") || words[2].starts_with("exposer_")) continue;
    types[words[2]] = words[3];
    names.insert(absl::StrCat(words[2], " ", words[3]));
  }
  for (const std::string& line : lines) {
    if (!line.starts_with('#') && !line.starts_with("exposer_")) names.insert(Series(line, types));
  }
  return names;
}

// Dashboards and alerts are written against these: a change of the list is a change of the interface.
TEST(Metrics, NamesTypesAndLabelsAreThoseOfTheGoldenList) {
  RunningServer server;
  const Lines found = Names(ScrapeMetrics(server.server().metrics_address()));
  const Lines expected = ReadLines(ATTND_METRICS_GOLDEN);
  EXPECT_EQ(Missing(found, expected), "") << "found, but not in tests/server/metrics_golden.txt";
  EXPECT_EQ(Missing(expected, found), "") << "in tests/server/metrics_golden.txt, but not found";
}

TEST(Metrics, EveryCallsLabelsAreThereAtZero) {
  RunningServer server;
  int series = 0;
  for (const auto& [name, value] : server.Scrape()) {
    if (!name.starts_with("grpc_server_") && !name.starts_with("attnd_phase_")) continue;
    EXPECT_EQ(value, 0) << name;
    ++series;
  }
  // 9 methods with 17 codes, and the buckets of their histogram and of the 4 phases with +Inf, sum and count.
  EXPECT_EQ(series, 9 + 9 * 17 + (9 + 4) * (40 + 3));
}

TEST(Metrics, EachHasAText) {
  RunningServer server;
  std::set<std::string> described;
  std::set<std::string> typed;
  const std::string scraped = ScrapeMetrics(server.server().metrics_address());
  for (const absl::string_view line : absl::StrSplit(scraped, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (absl::StartsWith(line, "# HELP ") && words.size() > 4) described.insert(words[2]);
    if (absl::StartsWith(line, "# TYPE ")) typed.insert(words[2]);
  }
  EXPECT_EQ(described, typed);
}

// gRFC A66.
TEST(Metrics, LatencyBucketsGoFrom10MicrosecondsTo100Seconds) {
  const std::string start =
      "grpc_server_handling_seconds_bucket{grpc_method=\"Attend\",grpc_service=\"attnd.v1.AttentionService\",grpc_type="
      "\"unary\",le=\"";
  RunningServer server;
  std::set<double> bounds;
  for (const auto& [name, value] : server.Scrape()) {
    if (name.starts_with(start) && name.find("Inf") == std::string::npos)
      bounds.insert(std::stod(name.substr(start.size())));
  }
  EXPECT_EQ(bounds, (std::set<double>{0.00001, 0.00005, 0.0001, 0.0003, 0.0006, 0.0008, 0.001, 0.002, 0.003, 0.004,
                                      0.005,   0.006,   0.008,  0.01,   0.013,  0.016,  0.02,  0.025, 0.03,  0.04,
                                      0.05,    0.065,   0.08,   0.1,    0.13,   0.16,   0.2,   0.25,  0.3,   0.4,
                                      0.5,     0.65,    0.8,    1,      2,      5,      10,    20,    50,    100}));
}

// What a caller sends is no label: all that is not known counts as one.
TEST(Metrics, UnknownMethodsAndCodesHaveOneLabel) {
  RunningServer server;
  const std::size_t series = server.Scrape().size();
  for (const char* method : {"/x", "/attnd.v1.AttentionService/\"}evil", "/grpc.health.v1.Health/Other"}) {
    CallRaw(server.channel(), method, "");
  }
  const std::string labels = "grpc_method=\"unknown\",grpc_service=\"unknown\",grpc_type=\"unknown\"}";
  const Samples samples = server.Scrape();
  EXPECT_EQ(samples.at("grpc_server_started_total{" + labels), 3);
  EXPECT_EQ(samples.at("grpc_server_handled_total{grpc_code=\"Unimplemented\"," + labels), 3);
  EXPECT_EQ(samples.size(), series);

  server::Metrics metrics("", "");
  for (const int code : {-1, 17, 1000}) metrics.CallHandled("/x", code, 1);
  const std::string text = prometheus::TextSerializer().Serialize(metrics.registry()->Collect());
  EXPECT_EQ(ParseSamples(text).at("grpc_server_handled_total{grpc_code=\"Unknown\"," + labels), 3);
}

}  // namespace
}  // namespace attnd::test

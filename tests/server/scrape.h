// What a server's /metrics says.
#pragma once

#include <map>
#include <string>

namespace attnd::test {

// The body of GET /metrics at "IP:PORT". Throws, which fails the test, where there is none.
std::string ScrapeMetrics(const std::string& address);

// The value of each sample by its name and labels, as they are written: "attnd_tiles_total{state=\"computed\"}".
using Samples = std::map<std::string, double>;
Samples ParseSamples(const std::string& text);

}  // namespace attnd::test

// What the parts of the core and of the wire can do, each alone on one thread and on memory that is in the caches.
#include "tests/bench/micro_bench.h"

#include <benchmark/benchmark.h>

#include "core/machine.h"

int main(int argc, char** argv) {
  benchmark::AddCustomContext("oneDNN", attnd::core::OnednnVersion() + " on " + attnd::core::OnednnInstructionSet());
  benchmark::AddCustomContext("Highway", attnd::core::VectorInstructionSet());
  attnd::bench::RegisterPacking();
  attnd::bench::RegisterProducts();
  attnd::bench::RegisterSoftmax();
  attnd::bench::RegisterCalls();
  attnd::bench::RegisterWire();
  attnd::bench::RegisterTileSweep();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}

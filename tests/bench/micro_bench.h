// The micro-benchmarks. Each function registers those of one file with Google Benchmark.
#pragma once

namespace attnd::bench {

void RegisterPacking();
void RegisterProducts();
void RegisterSoftmax();
void RegisterCalls();
void RegisterWire();
void RegisterTileSweep();

}  // namespace attnd::bench

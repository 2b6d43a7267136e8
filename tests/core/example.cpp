// Attention with the core alone: out = softmax(q·kᵀ/√2)·v for 3 queries and 4 keys of size 2.
#include <cstdio>

#include "core/engine.h"

int main() {
  using enum attnd::core::ElementType;
  const float q[3][2] = {{1, 0}, {0, 1}, {1, 1}};
  const float k[4][2] = {{1, 0}, {0, 1}, {1, 1}, {2, 2}};
  const float v[4][2] = {{1, 2}, {3, 4}, {5, 6}, {7, 8}};
  float out[3][2];

  const auto problem = attnd::core::CheckProblem({.query = {kFloat32, {3, 2}},
                                                  .key = {kFloat32, {4, 2}},
                                                  .value = {kFloat32, {4, 2}},
                                                  .size_bytes = {{sizeof(q), sizeof(k), sizeof(v)}}},
                                                 {});
  if (!problem.ok()) return std::puts(problem.status().ToString().c_str()), 1;
  attnd::core::Engine engine({});
  const auto report = engine.Run(*problem, {.query = q, .key = k, .value = v, .output = out});
  if (!report.ok()) return std::puts(report.status().ToString().c_str()), 1;
  for (const auto& row : out) std::printf("%.4f %.4f\n", row[0], row[1]);
}

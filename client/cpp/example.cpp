// Asks the server at the given address for one attention: two queries, three keys.
#include <cstdio>
#include <vector>

#include "client/cpp/client.h"

int main(int argc, char** argv) {
  attnd::Client client(argc > 1 ? argv[1] : "127.0.0.1:50051");

  const std::vector<float> query = {1, 0, 0, 1};           // [2, 2]
  const std::vector<float> key = {4, 0, 0, 4, 4, 4};       // [3, 2]
  const std::vector<float> value = {1, 10, 2, 20, 3, 30};  // [3, 2]
  const auto result = client.Attend({.query = {attnd::ElementType::kFloat32, {2, 2}, query.data()},
                                     .key = {attnd::ElementType::kFloat32, {3, 2}, key.data()},
                                     .value = {attnd::ElementType::kFloat32, {3, 2}, value.data()}},
                                    {.deadline = absl::Now() + absl::Seconds(10)});
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
    return 1;
  }
  const float* output = result->output.elements<float>();  // [2, 2]
  std::printf("%.4f %.4f\n%.4f %.4f\n", output[0], output[1], output[2], output[3]);
}

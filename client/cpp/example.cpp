// The C++ client on one page: three tokens attend to each other, and no token to a later one.
//
//   attnd_example [ADDRESS]
#include <absl/status/status.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <cstdio>
#include <utility>
#include <vector>

#include "client/cpp/client.h"

namespace {

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

void Print(const char* name, const attnd::Tensor& matrix) {
  std::printf("%s\n", name);
  const float* element = matrix.elements<float>();
  for (auto row = matrix.shape()[0]; row > 0; --row) {
    for (auto column = matrix.shape()[1]; column > 0; --column) std::printf(" %.4f", *element++);
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  // Connects when it is first needed. One client serves a whole program, from any number of threads.
  attnd::Client client(argc > 1 ? argv[1] : "127.0.0.1:50051");

  // Tensors are views: the client sends them from where they lie.
  const std::vector<float> tokens = {1, 0, 0, 1, 1, 1};
  const std::vector<float> values = {1, 10, 2, 20, 3, 30};
  const attnd::TensorView token_view{attnd::ElementType::kFloat32, {3, 2}, tokens.data()};
  attnd::AttendRequest request{.query = token_view,
                               .key = token_view,
                               .value = {attnd::ElementType::kFloat32, {3, 2}, values.data()},
                               .mask = {.causal = attnd::CausalAlignment::kTopLeft},
                               .return_weights = true};

  // A call that is waited for. Without a deadline it would wait as long as the server computes.
  const auto result = client.Attend(request, {.deadline = absl::Now() + absl::Seconds(10)});
  if (!result.ok()) return Fail(result.status());
  Print("weights", *result->weights);
  Print("output", result->output);

  // Calls that are on their way together, on one stream; AttendAsync gives each a call of its own. The tensors must
  // stay until each is done.
  attnd::AttendStream stream = client.OpenStream();
  std::vector<std::pair<double, attnd::AttendCall>> calls;
  for (const double scale : {1.0, 4.0}) {
    request.scale = scale;
    calls.emplace_back(scale, stream.Attend(request, {.deadline = absl::Now() + absl::Seconds(10)}));
  }
  for (auto& [scale, call] : calls) {
    const auto scaled = call.Take();
    if (!scaled.ok()) return Fail(scaled.status());
    const float* last_row = scaled->output.elements<float>() + 4;
    std::printf("the last token's output, scores times %g: %.4f %.4f\n", scale, last_row[0], last_row[1]);
  }
  return 0;
}

// Cases as the client's requests, and what the core makes of a request without a server in between.
#pragma once

#include <cstdint>
#include <vector>

#include "client/cpp/client.h"
#include "core/engine.h"
#include "tests/support/attention_case.h"
#include "tests/support/reference.h"

namespace attnd::test {

// A case's elements as bytes, and the request that refers to them. Moves.
class LocalProblem {
 public:
  explicit LocalProblem(const AttentionCase& attention);
  const AttendRequest& request() const { return request_; }

 private:
  // In the order of the inputs; empty where the case has none.
  std::vector<std::vector<std::uint8_t>> tensors_;
  AttendRequest request_;
};

// A refusal throws, which fails the test.
AttendResult AttendLocally(core::Engine& engine, const AttendRequest& request);

Answer ToAnswer(const AttendResult& result);

// The bytes of all tensors of the result, one after the other.
std::vector<std::uint8_t> BytesOf(const AttendResult& result);

// Random sizes, rank, layout, element type, masks, modifiers and options. A few hundred rows and keys at most.
AttentionCase RandomCase(Random& random);

}  // namespace attnd::test

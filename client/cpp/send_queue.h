// Whose turn it is to send.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "client/cpp/stream_call.h"

namespace attnd {

// The calls of a stream that have something to send. Three take turns, a message each: requests that go whole, in their
// order; the oldest request in parts; and the shortest one of those that wait. So a small request does not wait for a
// large one, and a large one not for ever, and a server has most requests whole, to compute them, while others arrive.
// Not thread-safe.
class SendQueue {
 public:
  // A call of which nothing was sent.
  void Add(std::shared_ptr<StreamCall> call);
  // If it is there.
  void Remove(const StreamCall& call);
  bool empty() const { return whole_.empty() && waiting_.empty() && !sending_[0] && !sending_[1]; }

  // Whose message is to be sent now; null where nobody has one. The call stays until it is removed.
  std::shared_ptr<StreamCall> Next();

 private:
  using Calls = std::map<std::uint64_t, std::shared_ptr<StreamCall>>;  // by number

  // Lets those that wait go on.
  void Fill();

  Calls whole_;
  Calls waiting_;                                       // in parts
  std::array<std::shared_ptr<StreamCall>, 2> sending_;  // the oldest, the shortest; in parts
  std::size_t turn_ = 0;
};

}  // namespace attnd

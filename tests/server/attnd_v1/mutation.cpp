#include "tests/server/attnd_v1/mutation.h"

#include <algorithm>
#include <vector>

namespace attnd::test {
namespace {

// What damages a message where it hurts: tags, lengths and numbers at their limits.
const std::vector<std::string>& Snippets() {
  static const std::vector<std::string> snippets = {
      std::string(1, '\0'),
      "\x7f",
      "\x80",
      "\xff\xff\xff\xff\x0f",
      "\xff\xff\xff\xff\x7f",
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
      "\x80\x80\x80\x80\x08",                  // 2^31
      std::string("\x81\x80\x80\x80\x00", 5),  // 1, padded
      "\xc2\x3e\x01q",
      "\xca\x3e\x01k",
      "\xd2\x3e\x01v",
      "\xda\x3e\x01m",                              // payloads
      std::string("\xc2\xbe\x80\x00\x01q", 6),      // a payload whose tag is padded
      std::string("\xc2\xbe\x80\x80\x10\x01q", 7),  // a tag with a bit past the 32nd
      "\xe2\x3e\x01z",
      "\xfa\x3e\x01t",                 // the last payload
      std::string("\x82\x3f\x00", 3),  // the number after it
      std::string("\x0a\x00", 2),
      "\x0a\x02\x38\x01",
      "\x0b",
      "\x0c",
      "\x98\x06\x01",
      "\xc3\x3e\xc4\x3e",
  };
  return snippets;
}

}  // namespace

void Mutate(std::string& message, std::mt19937_64& random) {
  const auto position = [&](std::size_t size) { return static_cast<std::size_t>(random() % (size + 1)); };
  const std::size_t begin = position(message.size());
  const std::size_t count = position(std::min<std::size_t>(message.size() - begin, 8));
  switch (random() % 7) {
    case 0:
      if (begin < message.size()) message[begin] = static_cast<char>(message[begin] ^ (1 << random() % 8));
      break;
    case 1:
      if (begin < message.size()) message[begin] = static_cast<char>(random());
      break;
    case 2:
      message.erase(begin, count);
      break;
    case 3:
      message.insert(begin, message.substr(position(message.size()), count));
      break;
    case 4:
      message.insert(begin, Snippets()[random() % Snippets().size()]);
      break;
    case 5:
      message += Snippets()[random() % Snippets().size()];
      break;
    default:
      message.resize(begin);
  }
}

}  // namespace attnd::test

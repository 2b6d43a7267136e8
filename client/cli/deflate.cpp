#include "client/cli/deflate.h"

#include <zlib.h>

#include <cassert>

namespace attnd::cli {

std::string Deflate(std::string_view bytes) {
  uLongf size_bytes = compressBound(bytes.size());
  std::string deflated(size_bytes, '\0');
  const int result = compress(reinterpret_cast<Bytef*>(deflated.data()), &size_bytes,
                              reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  // Only a lack of memory could be another one, and that has thrown before.
  assert(result == Z_OK);
  static_cast<void>(result);
  deflated.resize(size_bytes);
  return deflated;
}

}  // namespace attnd::cli

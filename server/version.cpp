#include "server/version.h"

namespace attnd::server {

std::string_view Version() { return ATTND_VERSION; }

}  // namespace attnd::server

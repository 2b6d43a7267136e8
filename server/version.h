#pragma once

#include <string_view>

namespace attnd::server {

// attnd's version, for example "0.1.0".
std::string_view Version();

}  // namespace attnd::server

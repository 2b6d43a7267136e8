// Element types as the interface and as the core know them.
#pragma once

#include <attnd/v1/attention.pb.h>

#include <optional>

#include "core/tensor.h"

namespace attnd::server::attnd_v1 {

v1::ElementType ToProto(core::ElementType type);

// Without a value where the number is not that of a type.
std::optional<core::ElementType> FromProto(v1::ElementType type);

}  // namespace attnd::server::attnd_v1

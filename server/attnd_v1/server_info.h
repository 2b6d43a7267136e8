// What GetServerInfo tells.
#pragma once

#include <attnd/v1/attention.pb.h>

#include "server/attend.h"

namespace attnd::server::attnd_v1 {

// Asks the machine, so it is made once and kept.
v1::GetServerInfoResponse DescribeServer(const AttendContext& context);

}  // namespace attnd::server::attnd_v1

// The files, sockets and the like that this process has open.
#pragma once

#include <absl/functional/function_ref.h>

namespace attnd::server {

// False where they cannot be listed; some may have been visited then.
bool ForEachFileDescriptor(absl::FunctionRef<void(int)> visit);

// How many there are, or −1 where they cannot be counted.
int OpenFileDescriptors();

}  // namespace attnd::server

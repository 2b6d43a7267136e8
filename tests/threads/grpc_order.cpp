// Tells the thread sanitizer that what was done before one of gRPC's operations was started comes before what is done
// once it has ended. gRPC itself orders the two by atomics in libraries that the sanitizer does not see. These
// functions stand before gRPC's own, which they call.
#include <dlfcn.h>
#include <grpc/grpc.h>

#include <cstddef>

// The sanitizer's, declared here since its header comes with one compiler and clang-tidy reads with another's.
extern "C" {
void __tsan_acquire(void* address);  // NOLINT(readability-identifier-naming)
void __tsan_release(void* address);  // NOLINT(readability-identifier-naming)
}

namespace {

template <typename Function>
Function* OfGrpc(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

grpc_event Ended(const grpc_event& event) {
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

}  // namespace

grpc_call_error grpc_call_start_batch(grpc_call* call, const grpc_op* ops, std::size_t op_count, void* tag,
                                      void* reserved) {
  static const auto start = OfGrpc<decltype(grpc_call_start_batch)>("grpc_call_start_batch");
  __tsan_release(tag);
  return start(call, ops, op_count, tag, reserved);
}

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline, void* reserved) {
  static const auto next = OfGrpc<decltype(grpc_completion_queue_next)>("grpc_completion_queue_next");
  return Ended(next(queue, deadline, reserved));
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag, gpr_timespec deadline, void* reserved) {
  static const auto pluck = OfGrpc<decltype(grpc_completion_queue_pluck)>("grpc_completion_queue_pluck");
  return Ended(pluck(queue, tag, deadline, reserved));
}

// Tells the thread sanitizer that what was done before one of gRPC's operations was started comes before what is done
// once it has ended, and what was done before a slice of our memory was made before what is done when gRPC has let go
// of it. gRPC itself orders them by atomics in libraries that the sanitizer does not see. These functions stand before
// gRPC's own, which they call.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>

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

// What is to be called when a slice is let go.
struct LetGo {
  void (*function)(void*);
  void* argument;
};

void Run(void* let_go) {
  __tsan_acquire(let_go);
  const LetGo copy = *static_cast<LetGo*>(let_go);
  delete static_cast<LetGo*>(let_go);
  copy.function(copy.argument);
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

grpc_slice grpc_slice_new_with_user_data(void* bytes, std::size_t size_bytes, void (*destroy)(void*), void* argument) {
  static const auto make = OfGrpc<decltype(grpc_slice_new_with_user_data)>("grpc_slice_new_with_user_data");
  auto* let_go = new LetGo{.function = destroy, .argument = argument};
  __tsan_release(let_go);
  return make(bytes, size_bytes, Run, let_go);
}

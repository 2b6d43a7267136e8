// Two threads add to one count, protected well or badly as the argument says. Whether they really meet does not matter
// to the thread sanitizer, only that nothing orders them.
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace {

// As a worker pool has one: a mutex, a condition and what they protect.
struct Counter {
  absl::Mutex mutex;
  absl::Mutex other_mutex;
  absl::CondVar changed;
  absl::Notification notification;
  int count = 0;
};

void Race(const std::function<void()>& first, const std::function<void()>& second) {
  std::thread first_thread(first);
  std::thread second_thread(second);
  first_thread.join();
  second_thread.join();
}

void AddUnder(absl::Mutex& mutex, Counter& counter) {
  absl::MutexLock lock(&mutex);
  ++counter.count;
}

void WithoutLock(Counter& counter) {
  Race([&] { ++counter.count; }, [&] { ++counter.count; });
}

void UnderDifferentLocks(Counter& counter) {
  Race([&] { AddUnder(counter.mutex, counter); }, [&] { AddUnder(counter.other_mutex, counter); });
}

void UnderTheLock(Counter& counter) {
  Race([&] { AddUnder(counter.mutex, counter); }, [&] { AddUnder(counter.mutex, counter); });
}

void AfterACondition(Counter& counter) {
  Race(
      [&] {
        AddUnder(counter.mutex, counter);
        counter.changed.SignalAll();
      },
      [&] {
        absl::MutexLock lock(&counter.mutex);
        while (counter.count == 0) counter.changed.Wait(&counter.mutex);
        ++counter.count;
      });
}

void AfterANotification(Counter& counter) {
  Race(
      [&] {
        ++counter.count;
        counter.notification.Notify();
      },
      [&] {
        counter.notification.WaitForNotification();
        ++counter.count;
      });
}

// Ends every call at once, and adds on a thread of gRPC's.
class AddingService final : public grpc::CallbackGenericService {
 public:
  explicit AddingService(std::function<void()> add) : add_(std::move(add)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    class Reactor final : public grpc::ServerGenericBidiReactor {
     public:
      Reactor() { Finish(grpc::Status::OK); }
      void OnDone() override { delete this; }
    };
    add_();
    return new Reactor;
  }

 private:
  const std::function<void()> add_;
};

// Makes one call, of which gRPC tells in `service`, while `meanwhile` runs.
void Call(AddingService& service, const std::function<void()>& meanwhile) {
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterCallbackGenericService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  grpc::GenericStub stub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const grpc::Slice text("x");
  const grpc::ByteBuffer request(&text, 1);
  grpc::ByteBuffer response;
  absl::Notification ended;
  stub.UnaryCall(&context, "/a/b", {}, &request, &response, [&](const grpc::Status&) { ended.Notify(); });
  meanwhile();
  ended.WaitForNotification();
  server->Shutdown();
}

// Both have begun before either adds; the meeting itself orders nothing.
class Meeting {
 public:
  void Await() {
    arrived_.fetch_add(1, std::memory_order_relaxed);
    while (arrived_.load(std::memory_order_relaxed) < 2) std::this_thread::yield();
  }

 private:
  std::atomic<int> arrived_ = 0;
};

void OnAThreadOfGrpcWithoutLock(Counter& counter) {
  Meeting meeting;
  const auto add = [&] {
    meeting.Await();
    ++counter.count;
  };
  AddingService service(add);
  Call(service, add);
}

void OnAThreadOfGrpcUnderTheLock(Counter& counter) {
  Meeting meeting;
  const auto add = [&] {
    meeting.Await();
    AddUnder(counter.mutex, counter);
  };
  AddingService service(add);
  Call(service, add);
}

// What was sent is let go of by whichever thread of gRPC's comes to it last.
void WhenASliceIsLetGo(Counter& counter) {
  std::atomic<grpc_byte_buffer*> sent = nullptr;
  Race(
      [&] {
        ++counter.count;
        const auto add = [](void* let_go) { ++static_cast<Counter*>(let_go)->count; };
        grpc_slice slice = grpc_slice_new_with_user_data(&counter, sizeof counter, add, &counter);
        sent.store(grpc_raw_byte_buffer_create(&slice, 1), std::memory_order_relaxed);
        grpc_slice_unref(slice);
      },
      [&] {
        grpc_byte_buffer* let_go = nullptr;
        while ((let_go = sent.load(std::memory_order_relaxed)) == nullptr) std::this_thread::yield();
        grpc_byte_buffer_destroy(let_go);
      });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view wanted = argc == 2 ? argv[1] : "";
  struct Case {
    std::string_view name;
    void (*run)(Counter&);
  };
  for (const Case& each : {Case{"without_lock", WithoutLock},
                           {"under_different_locks", UnderDifferentLocks},
                           {"on_a_thread_of_grpc_without_lock", OnAThreadOfGrpcWithoutLock},
                           {"under_the_lock", UnderTheLock},
                           {"after_a_condition", AfterACondition},
                           {"after_a_notification", AfterANotification},
                           {"on_a_thread_of_grpc_under_the_lock", OnAThreadOfGrpcUnderTheLock},
                           {"when_a_slice_is_let_go", WhenASliceIsLetGo}}) {
    if (each.name != wanted) continue;
    Counter counter;
    each.run(counter);
    std::printf("%d\n", counter.count);
    return 0;
  }
  return 2;
}

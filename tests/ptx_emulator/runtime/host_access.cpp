#include "runtime/host_access.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <mutex>

#include "memory/device_memory.h"

namespace ptx_emulator {
namespace {

struct sigaction earlier_action;

// The process is about to end, so what is not safe in a signal handler
// (describing the allocation) is at worst a message that is missing.
void handle(int signal, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<Address>(info->si_addr);
  DeviceMemory& memory = DeviceMemory::instance();
  if (memory.is_device_address(address)) {
    char message[512];
    const int length =
        std::snprintf(message, sizeof message,
                      "ptx_emulator: host code accesses device memory at %p: "
                      "%s\n",
                      info->si_addr, memory.describe(address, 1).c_str());
    if (length > 0)
      (void)!write(STDERR_FILENO, message, strnlen(message, sizeof message));
  }
  if ((earlier_action.sa_flags & SA_SIGINFO) != 0 &&
      earlier_action.sa_sigaction != nullptr) {
    earlier_action.sa_sigaction(signal, info, context);
  } else if (earlier_action.sa_handler != SIG_DFL &&
             earlier_action.sa_handler != SIG_IGN) {
    earlier_action.sa_handler(signal);
  } else {
    // The access is repeated without this handler.
    sigaction(SIGSEGV, &earlier_action, nullptr);
  }
}

}  // namespace

void explain_host_accesses() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &earlier_action);
  });
}

}  // namespace ptx_emulator

// A named range on the calling thread's timeline in profilers (NVTX). Without a
// profiler it costs a test.
#pragma once

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>

namespace jacquard::cuda_backend {

class ProfilerRange {
 public:
  explicit ProfilerRange(const char* name) {
    if (!domain()) [[likely]]
      return;
    nvtxEventAttributes_t attributes{};
    attributes.version = NVTX_VERSION;
    attributes.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    attributes.messageType = NVTX_MESSAGE_TYPE_ASCII;
    attributes.message.ascii = name;
    nvtxDomainRangePushEx(domain(), &attributes);
  }
  ~ProfilerRange() {
    if (domain()) [[unlikely]]
      nvtxDomainRangePop(domain());
  }
  ProfilerRange(const ProfilerRange&) = delete;
  ProfilerRange& operator=(const ProfilerRange&) = delete;

 private:
  // nullptr without a profiler.
  static nvtxDomainHandle_t domain() {
    static const nvtxDomainHandle_t made = nvtxDomainCreateA("jacquard");
    return made;
  }
};

}  // namespace jacquard::cuda_backend

#else

namespace jacquard::cuda_backend {

class ProfilerRange {
 public:
  explicit ProfilerRange(const char*) {}
};

}  // namespace jacquard::cuda_backend

#endif

#include "cuda/codegen/nvrtc.h"

#include <dlfcn.h>
#include <nvrtc.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "jacquard/error.h"

namespace jacquard::cuda_backend {
namespace {

constexpr const char* kPackage =
    "install NVRTC of CUDA 13 or 12 (package cuda-nvrtc-13-0) or put its "
    "folder on LD_LIBRARY_PATH";

// The entry points that we call.
struct Nvrtc {
  decltype(&::nvrtcGetErrorString) GetErrorString;
  decltype(&::nvrtcVersion) Version;
  decltype(&::nvrtcGetNumSupportedArchs) GetNumSupportedArchs;
  decltype(&::nvrtcGetSupportedArchs) GetSupportedArchs;
  decltype(&::nvrtcCreateProgram) CreateProgram;
  decltype(&::nvrtcDestroyProgram) DestroyProgram;
  decltype(&::nvrtcCompileProgram) CompileProgram;
  decltype(&::nvrtcGetPTXSize) GetPTXSize;
  decltype(&::nvrtcGetPTX) GetPTX;
  decltype(&::nvrtcGetCUBINSize) GetCUBINSize;
  decltype(&::nvrtcGetCUBIN) GetCUBIN;
  decltype(&::nvrtcGetProgramLogSize) GetProgramLogSize;
  decltype(&::nvrtcGetProgramLog) GetProgramLog;

  std::vector<int> architectures;  // ascending
  std::string version;
};

void* open_library() {
  std::string problems;
  for (const char* name : {"libnvrtc.so.13", "libnvrtc.so.12"}) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    problems += std::string(problems.empty() ? "" : "; ") + dlerror();
  }
  throw DeviceError("programs on CUDA need NVRTC: " + problems + ": " +
                    kPackage);
}

template <class F>
void find(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, name));
  if (!function)
    throw DeviceError(std::string("NVRTC has no ") + name + ": " + kPackage);
}

void check(const Nvrtc& t, nvrtcResult status, const char* call) {
  if (status != NVRTC_SUCCESS)
    throw CudaError(std::string(call) + ": " + t.GetErrorString(status));
}

Nvrtc load() {
  void* library = open_library();
  Nvrtc t{};
#define JACQUARD_FIND(name) find(library, "nvrtc" #name, t.name)
  JACQUARD_FIND(GetErrorString);
  JACQUARD_FIND(Version);
  JACQUARD_FIND(GetNumSupportedArchs);
  JACQUARD_FIND(GetSupportedArchs);
  JACQUARD_FIND(CreateProgram);
  JACQUARD_FIND(DestroyProgram);
  JACQUARD_FIND(CompileProgram);
  JACQUARD_FIND(GetPTXSize);
  JACQUARD_FIND(GetPTX);
  JACQUARD_FIND(GetCUBINSize);
  JACQUARD_FIND(GetCUBIN);
  JACQUARD_FIND(GetProgramLogSize);
  JACQUARD_FIND(GetProgramLog);
#undef JACQUARD_FIND
  int major = 0, minor = 0, count = 0;
  check(t, t.Version(&major, &minor), "nvrtcVersion");
  t.version = std::to_string(major) + '.' + std::to_string(minor);
  check(t, t.GetNumSupportedArchs(&count), "nvrtcGetNumSupportedArchs");
  t.architectures.resize(static_cast<std::size_t>(count));
  check(t, t.GetSupportedArchs(t.architectures.data()),
        "nvrtcGetSupportedArchs");
  std::sort(t.architectures.begin(), t.architectures.end());
  return t;
}

const Nvrtc& nvrtc() {
  static const Nvrtc table = load();
  return table;
}

// A stand-in for the device that executes PTX and no machine code.
bool executes_ptx_only() {
  static const bool found =
      dlsym(RTLD_DEFAULT, "ptx_emulator_mark_allocated") != nullptr;
  return found;
}

class Program {
 public:
  Program(const Nvrtc& table, const std::string& source,
          const std::string& name)
      : t_(table) {
    check(t_,
          t_.CreateProgram(&program_, source.c_str(), (name + ".cu").c_str(), 0,
                           nullptr, nullptr),
          "nvrtcCreateProgram");
  }
  ~Program() { t_.DestroyProgram(&program_); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  nvrtcResult compile(const std::vector<const char*>& options) {
    return t_.CompileProgram(program_, static_cast<int>(options.size()),
                             options.data());
  }
  template <class Size, class Get>
  std::string read(Size size, Get get, const char* call) const {
    std::size_t n = 0;
    check(t_, size(program_, &n), call);
    std::string made(n, '\0');
    check(t_, get(program_, made.data()), call);
    return made;
  }

 private:
  const Nvrtc& t_;
  nvrtcProgram program_ = nullptr;
};

// The first lines, numbered as the compiler's log numbers them.
std::string head_of(const std::string& source) {
  std::string head;
  std::size_t begin = 0;
  for (int line = 1; line <= 40 && begin < source.size(); ++line) {
    const std::size_t end = std::min(source.find('\n', begin), source.size());
    head +=
        std::to_string(line) + '\t' + source.substr(begin, end - begin) + '\n';
    begin = end + 1;
  }
  return head;
}

}  // namespace

const std::vector<std::string>& compile_options() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> options = {"-std=c++17", "--fmad=false",
                                        "-default-device", "--minimal"};
    const char* more = std::getenv("JACQUARD_NVRTC_OPTIONS");
    std::istringstream words(more ? more : "");
    for (std::string word; words >> word;) options.push_back(word);
    return options;
  }();
  return all;
}

std::string Target::option() const {
  return std::string("-arch=") + (machine_code ? "sm_" : "compute_") +
         std::to_string(architecture);
}

Target target_for(int capability) {
  const std::vector<int>& known = nvrtc().architectures;
  if (!executes_ptx_only() &&
      std::binary_search(known.begin(), known.end(), capability))
    return {capability, true};
  const auto above = std::upper_bound(known.begin(), known.end(), capability);
  if (above == known.begin())
    throw DeviceError("NVRTC " + nvrtc().version +
                      " does not support a device of compute capability " +
                      std::to_string(capability / 10) + '.' +
                      std::to_string(capability % 10));
  return {*(above - 1), false};
}

const std::string& nvrtc_version() { return nvrtc().version; }

Compiled compile(const std::string& source, const std::string& name,
                 const Target& target, bool with_ptx) {
  const Nvrtc& t = nvrtc();
  Program program(t, source, name);
  std::vector<const char*> options;
  for (const std::string& option : compile_options())
    options.push_back(option.c_str());
  const std::string architecture = target.option();
  options.push_back(architecture.c_str());
  const nvrtcResult status = program.compile(options);
  if (status != NVRTC_SUCCESS) {
    const std::string log = program.read(t.GetProgramLogSize, t.GetProgramLog,
                                         "nvrtcGetProgramLog");
    throw CudaError("nvrtcCompileProgram: " + name + ": " +
                    t.GetErrorString(status) + "\n" + log.c_str() +
                    "\nThe source begins:\n" + head_of(source));
  }
  Compiled made;
  if (!target.machine_code || with_ptx)
    made.ptx = program.read(t.GetPTXSize, t.GetPTX, "nvrtcGetPTX");
  made.image = target.machine_code
                   ? program.read(t.GetCUBINSize, t.GetCUBIN, "nvrtcGetCUBIN")
                   : made.ptx;
  return made;
}

}  // namespace jacquard::cuda_backend

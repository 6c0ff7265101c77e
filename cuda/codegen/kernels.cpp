#include "cuda/codegen/kernels.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/backend/compilation_watch.h"
#include "cuda/codegen/disk_cache.h"
#include "cuda/codegen/nvrtc.h"
#include "cuda/codegen/source.h"
#include "cuda/codegen/text.h"

namespace jacquard::cuda_backend {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<unsigned long> compiled{0}, found_on_disk{0};
std::atomic<Clock::rep> time_made{0};

void count_compilation() {
  ++compiled;
  backend::note_compilation();
}

const char* skeleton_name(Skeleton s) {
  switch (s) {
    case Skeleton::map:
      return "map";
    case Skeleton::list:
      return "list";
    case Skeleton::row:
      return "row";
    default:
      return "map_reduce";
  }
}

std::string kernel_name(const Work& work, const std::string& key) {
  std::uint64_t h = work.program->hash();
  for (const char c : key)
    h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  char digits[20];
  std::snprintf(digits, sizeof digits, "%016llx",
                static_cast<unsigned long long>(h));
  return text("jacquard_", skeleton_name(work.skeleton), '_', digits);
}

// $JACQUARD_CUDA_DUMP: a folder for each source and its PTX, for people.
const char* dump_folder() {
  static const char* folder = std::getenv("JACQUARD_CUDA_DUMP");
  return folder && *folder ? folder : nullptr;
}

void dump(const std::string& name, const char* ending,
          const std::string& contents) {
  std::ofstream file(text(dump_folder(), '/', name, ending));
  file << contents.c_str();
}

}  // namespace

std::string image_of(const std::string& source, const std::string& name,
                     const Target& target) {
  if (dump_folder()) {
    dump(name, ".cu", source);
    const Compiled made = compile(source, name, target, true);
    count_compilation();
    dump(name, ".ptx", made.ptx);
    return made.image;
  }
  const DiskCache& disk = DiskCache::standard();
  CacheKeyMaker maker;
  maker.add("1").add(nvrtc_version()).add(target.option()).add(source);
  for (const std::string& option : compile_options()) maker.add(option);
  const CacheKey key = maker.key();
  if (auto found = disk.read(key)) {
    ++found_on_disk;
    return *std::move(found);
  }
  std::string image = compile(source, name, target, false).image;
  count_compilation();
  disk.write(key, image);
  return image;
}

ProgramKernels& ProgramKernels::of(const pointwise::Program& program) {
  std::atomic<void*>& cell = program.compiled(1);
  if (void* p = cell.load(std::memory_order_acquire)) [[likely]]
    return *static_cast<ProgramKernels*>(p);
  auto* made = new ProgramKernels(program);
  void* expected = nullptr;
  if (cell.compare_exchange_strong(expected, made, std::memory_order_acq_rel))
    return *made;
  delete made;
  return *static_cast<ProgramKernels*>(expected);
}

const Kernel* ProgramKernels::look_up(const std::string& key) const {
  for (const Variant* v = first_.load(std::memory_order_acquire); v;
       v = v->next)
    if (v->key == key) return &v->kernel;
  return nullptr;
}

const Kernel& ProgramKernels::make(const Work& work, int capability,
                                   const std::string& key,
                                   const std::string& members) {
  const std::lock_guard lock(mutex_);
  if (const Kernel* kernel = look_up(key)) return *kernel;
  const Clock::time_point start = Clock::now();
  const std::string name = kernel_name(work, key);
  const std::string image =
      image_of(source_of(work, name, members), name, target_for(capability));
  const Kernel kernel = load_kernel(image.c_str(), name);
  time_made += (Clock::now() - start).count();
  auto* variant = new Variant{key, kernel, first_.load()};
  first_.store(variant, std::memory_order_release);
  return variant->kernel;
}

KernelCounts kernel_counts() {
  const std::chrono::duration<double> time{Clock::duration(time_made.load())};
  return {compiled.load(), found_on_disk.load(), time.count()};
}

void jacquard_cuda_kernel_counts(KernelCounts* to) { *to = kernel_counts(); }

}  // namespace jacquard::cuda_backend

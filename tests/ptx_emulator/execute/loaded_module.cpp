#include "execute/loaded_module.h"

#include <algorithm>
#include <cstring>

#include "execute/decoder.h"
#include "image/fat_binary.h"
#include "memory/device_memory.h"

namespace ptx_emulator {
namespace {

// The longest chain of calls from `code`, in bytes of local memory.
std::uint32_t deepest_local_bytes(const Program& program, const Code& code,
                                  std::vector<const Code*>* path,
                                  bool* unbounded) {
  if (std::find(path->begin(), path->end(), &code) != path->end()) {
    *unbounded = true;
    return 0;
  }
  path->push_back(&code);
  std::uint32_t deepest = 0;
  for (const auto& call : code.calls) {
    if (call->target != kNoRow) *unbounded = true;
    if (call->callee == nullptr) continue;
    deepest = std::max(
        deepest, deepest_local_bytes(program, *call->callee, path, unbounded));
  }
  path->pop_back();
  return deepest + code.local_bytes;
}

// As if all declared registers were live at the same time.
std::uint32_t register_bound(const Program& program) {
  std::uint32_t words = 0;
  for (const auto& [name, type] : program.main->function->registers) {
    words +=
        type == ptx::Type::kPred
            ? 0
            : static_cast<std::uint32_t>(std::max(1, ptx::type_size(type) / 4));
  }
  return std::min(words, 255u);
}

}  // namespace

LoadedKernel::LoadedKernel(LoadedModule* module, const ptx::Function& function)
    : module_(*module), name_(function.name) {
  for (const ptx::Variable& parameter : function.parameters) {
    parameter_bytes_ = align_up(parameter_bytes_, parameter.alignment);
    parameters_.push_back({parameter_bytes_, parameter.size});
    parameter_bytes_ += parameter.size;
  }
}

const Program& LoadedKernel::program() const {
  std::call_once(decoded_, [this] {
    const std::lock_guard<std::mutex> lock(module_.decoding());
    auto program = std::make_unique<Program>();
    program->name = name_;
    const Code* main = Decoder::decode(&module_, program.get(), name_);
    program->main = main;
    std::vector<const Code*> path;
    program->local_bytes =
        deepest_local_bytes(*program, *main, &path, &program->recursive);
    // Where the chain has no bound, as much as the device's default stack
    // several times over.
    constexpr std::uint32_t kStack = 16 * 1024;
    if (program->recursive) program->local_bytes += kStack;
    program->registers = register_bound(*program);
    if (main->function->max_threads != 0) {
      program->max_threads =
          std::min(kMaxThreadsPerBlock, main->function->max_threads);
    }
    std::copy_n(main->function->required_threads, 3, program->required_threads);
    attributes_.static_shared_bytes = program->static_shared_bytes;
    attributes_.local_bytes = program->local_bytes;
    attributes_.constant_bytes = module_.constant_bytes();
    attributes_.max_threads_per_block = program->max_threads;
    attributes_.registers = program->registers;
    attributes_.ptx_version = module_.syntax().target();
    attributes_.binary_version = module_.capability();
    program_ = std::move(program);
  });
  return *program_;
}

const KernelAttributes& LoadedKernel::attributes() const {
  program();
  return attributes_;
}

LoadedModule::LoadedModule(std::string ptx, int capability)
    : syntax_(std::move(ptx)), capability_(capability) {
  for (const auto& [name, function] : syntax_.functions()) {
    if (function.is_entry && function.has_body) {
      kernels_[name] = std::make_unique<LoadedKernel>(this, function);
    }
  }
  try {
    allocate_variables();
  } catch (...) {
    for (const auto& [name, variable] : variables_) {
      DeviceMemory::instance().free(variable.address);
    }
    throw;
  }
}

LoadedModule::~LoadedModule() {
  for (const auto& [name, variable] : variables_) {
    DeviceMemory::instance().free(variable.address);
  }
}

void LoadedModule::allocate_variables() {
  for (const auto& [name, declared] : syntax_.variables()) {
    if (declared.space == ptx::Space::kShared) continue;
    if (declared.is_extern) {
      throw ImageError(
          ImageError::Reason::kUnsupported,
          "variable " + name + " is declared extern and defined nowhere");
    }
    Variable variable;
    variable.name = name;
    variable.bytes = declared.size;
    variable.constant = declared.space == ptx::Space::kConst;
    variable.address = DeviceMemory::instance().allocate(
        declared.size, (variable.constant ? "__constant__ " : "__device__ ") +
                           std::string("variable ") + name);
    if (variable.address == 0) {
      throw ImageError(ImageError::Reason::kOutOfMemory,
                       "no device memory for variable " + name);
    }
    if (variable.constant) constant_bytes_ += declared.size;
    variables_[name] = variable;
  }
  for (const auto& [name, declared] : syntax_.variables()) {
    if (declared.space != ptx::Space::kShared) initialise(declared);
  }
}

// Variables without an initial value are zero, as in C++.
void LoadedModule::initialise(const ptx::Variable& declared) {
  std::vector<std::uint8_t> bytes = declared.initial;
  bytes.resize(declared.size);
  for (const auto& relocation : declared.relocations) {
    std::uint64_t value = address_of(relocation.symbol) +
                          static_cast<std::uint64_t>(relocation.addend);
    std::size_t size = static_cast<std::size_t>(ptx::type_size(declared.type));
    if (relocation.mask != 0) {
      value = (value & relocation.mask) >> std::countr_zero(relocation.mask);
    }
    if (relocation.at + size > bytes.size()) size = 0;
    std::memcpy(bytes.data() + relocation.at, &value,
                std::min(size, sizeof value));
  }
  if (bytes.empty()) return;
  DeviceMemory::instance().copy(variables_[declared.name].address,
                                reinterpret_cast<Address>(bytes.data()),
                                bytes.size(), "initial value of a variable");
}

std::uint64_t LoadedModule::address_of(std::string_view symbol) const {
  if (const Variable* variable = find_variable(symbol)) {
    return variable->address;
  }
  if (const std::uint64_t address = function_address(symbol)) return address;
  throw ImageError(
      ImageError::Reason::kInvalidPtx,
      "an initial value names the unknown symbol " + std::string(symbol));
}

std::uint64_t LoadedModule::function_address(std::string_view name) const {
  const auto place = syntax_.functions().find(name);
  if (place == syntax_.functions().end() || !place->second.has_body) return 0;
  const auto index = std::distance(syntax_.functions().begin(), place);
  return kFunctionWindow + 16 * static_cast<std::uint64_t>(index + 1);
}

const Kernel* LoadedModule::find_kernel(std::string_view name) const {
  const auto place = kernels_.find(name);
  return place == kernels_.end() ? nullptr : place->second.get();
}

const Variable* LoadedModule::find_variable(std::string_view name) const {
  const auto place = variables_.find(name);
  return place == variables_.end() ? nullptr : &place->second;
}

std::vector<std::string> LoadedModule::kernel_names() const {
  std::vector<std::string> names;
  for (const auto& [name, kernel] : kernels_) names.push_back(name);
  return names;
}

std::shared_ptr<Module> Module::load(const void* image, int capability) {
  return std::make_shared<LoadedModule>(select_ptx(image, capability),
                                        capability);
}

}  // namespace ptx_emulator

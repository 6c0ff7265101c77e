// A module whose variables have memory and whose kernels are decoded when
// they are first asked for.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "execute/engine.h"
#include "execute/program.h"
#include "ptx/module.h"

namespace ptx_emulator {

class LoadedModule;

class LoadedKernel : public Kernel {
 public:
  LoadedKernel(LoadedModule* module, const ptx::Function& function);

  const std::string& name() const override { return name_; }
  const std::vector<ParameterLayout>& parameters() const override {
    return parameters_;
  }
  std::uint32_t parameter_bytes() const override { return parameter_bytes_; }
  const KernelAttributes& attributes() const override;

  // Decodes at the first call. Throws ImageError.
  const Program& program() const;
  const LoadedModule& module() const { return module_; }

 private:
  LoadedModule& module_;
  std::string name_;
  std::vector<ParameterLayout> parameters_;
  std::uint32_t parameter_bytes_ = 0;
  mutable std::once_flag decoded_;
  mutable std::unique_ptr<Program> program_;
  mutable KernelAttributes attributes_;
};

class LoadedModule : public Module {
 public:
  LoadedModule(std::string ptx, int capability);
  ~LoadedModule() override;

  const Kernel* find_kernel(std::string_view name) const override;
  const Variable* find_variable(std::string_view name) const override;
  std::vector<std::string> kernel_names() const override;
  int capability() const override { return capability_; }

  const ptx::Module& syntax() const { return syntax_; }
  const ptx::Function& function(std::string_view name) {
    return syntax_.parse_body(name);
  }
  std::uint32_t constant_bytes() const { return constant_bytes_; }
  // The address in the window of functions, or 0 if there is no such one.
  std::uint64_t function_address(std::string_view name) const;
  // Held while kernels are decoded: parsing changes the syntax tree.
  std::mutex& decoding() { return decoding_; }

 private:
  void allocate_variables();
  void initialise(const ptx::Variable& variable);
  std::uint64_t address_of(std::string_view symbol) const;

  ptx::Module syntax_;
  int capability_;
  std::uint32_t constant_bytes_ = 0;
  std::map<std::string, Variable, std::less<>> variables_;
  std::map<std::string, std::unique_ptr<LoadedKernel>, std::less<>> kernels_;
  std::mutex decoding_;
};

// Bytes from `offset` on, rounded up to a multiple of `alignment`.
constexpr std::uint32_t align_up(std::uint32_t offset,
                                 std::uint32_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

}  // namespace ptx_emulator

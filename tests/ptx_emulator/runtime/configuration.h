// What device the emulator poses as, and how it behaves: read once from the
// environment.
//
//   PTX_EMULATOR_CAPABILITY=80   compute capability, major * 10 + minor
//   PTX_EMULATOR_DEVICES=1       number of devices; 0: cudaErrorNoDevice. They
//                                share one memory
//   PTX_EMULATOR_MEMORY=8G       bytes of device memory
//   PTX_EMULATOR_DRIVER=13000    version of the driver; below 13000 every call
//                                gives cudaErrorInsufficientDriver
//   PTX_EMULATOR_ORDER=seed      the order of work, see runtime/order.h
//   PTX_EMULATOR_NULL=1          launches, copies, events and waits return at
//                                once and do nothing; what would be read from
//                                the device is zero
//   PTX_EMULATOR_TABLE=1         prints the counters of all launches at exit
//   PTX_EMULATOR_REPORT=file     writes them, and the calls, as JSON at exit
#pragma once

#include <cstdint>
#include <string>

namespace ptx_emulator {

struct Configuration {
  int capability = 80;
  int devices = 1;
  int driver_version = 13000;
  std::uint64_t order_seed = 0;
  bool null_mode = false;
  bool print_table = false;
  std::string report_path;

  int major() const { return capability / 10; }
  int minor() const { return capability % 10; }
};

const Configuration& configuration();

}  // namespace ptx_emulator

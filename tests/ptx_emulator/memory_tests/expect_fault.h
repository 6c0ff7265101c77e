// Expecting the fault of a check and what its message says.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "memory/address.h"
#include "memory/fault.h"

namespace ptx_emulator {

template <class Action>
void expect_fault(FaultKind kind, int lane,
                  std::initializer_list<const char*> parts, Action action) {
  try {
    action();
  } catch (const AccessFault& fault) {
    EXPECT_EQ(fault.kind(), kind) << fault.what();
    EXPECT_EQ(fault.lane(), lane) << fault.what();
    for (const char* part : parts) {
      EXPECT_NE(std::string(fault.what()).find(part), std::string::npos)
          << '"' << part << "\" is not in: " << fault.what();
    }
    return;
  }
  ADD_FAILURE() << "no fault";
}

// The addresses of a warp: lane l at first + l * step.
struct Addresses {
  Address lane[kWarpSize];
  Addresses(Address first, std::int64_t step) {
    for (int l = 0; l < kWarpSize; ++l) {
      lane[l] = first + static_cast<Address>(l * step);
    }
  }
  operator Address*() { return lane; }
};

}  // namespace ptx_emulator

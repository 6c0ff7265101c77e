// Accesses of the program's host code to device memory, which end it.
#pragma once

namespace ptx_emulator {

// From now on a host access to a device address prints a sentence that names
// the address and its allocation before the program ends by SIGSEGV as it would
// without. Handlers that the program has set run as before.
void explain_host_accesses();

}  // namespace ptx_emulator

/* What a test may ask the emulator: calls, launches and faults. The functions
 * are exported by the emulator's libcudart, beside those of
 * memory/ptx_emulator.h; look them up with dlsym(RTLD_DEFAULT, name): on a real
 * device they are not there. */
#ifndef PTX_EMULATOR_INSPECT_H_
#define PTX_EMULATOR_INSPECT_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- counters ---- */

/* How often the program called the runtime's function `name`
 * ("cudaLaunchKernel") since the start or the last reset; calls by the
 * driver's and the <<<>>> entry points count under the runtime's name. Library
 * calls ("cublasLtMatmul") count under their own. */
unsigned long long ptx_emulator_calls(const char* name);
/* Visits all functions with calls. */
void ptx_emulator_visit_calls(void (*visit)(const char* name,
                                            unsigned long long calls,
                                            void* data),
                              void* data);

/* One launch that has run. Instructions are by active threads, by class in the
 * order of InstructionClass (memory/counters.h). */
typedef struct ptx_emulator_launch {
  const char* kernel; /* until the thread's next ptx_emulator_launch_count */
  unsigned grid[3], block[3], shared_bytes;
  unsigned long long stream; /* as cudaStreamGetId numbers it */
  unsigned long long threads, warp_instructions, barriers;
  unsigned long long instructions[16];
  /* Global memory. Widths: bytes by accesses of 1, 2, 4, 8, 16, 32 bytes. */
  unsigned long long load_requests, load_bytes, load_sectors;
  unsigned long long load_bytes_by_width[6];
  unsigned long long store_requests, store_bytes, store_sectors;
  unsigned long long store_bytes_by_width[6];
  unsigned long long shared_requests, shared_bytes_moved, shared_wavefronts,
      shared_conflicts;
  /* A hash of the kernel's parameters, 0 for a library call: equal for two
   * launches that were given the same bytes. */
  unsigned long long parameters;
} ptx_emulator_launch;

/* Launches that have run since the start or the last reset, library calls
 * among them. The thread's later calls of ptx_emulator_get_launch are about
 * these. */
size_t ptx_emulator_launch_count(void);
/* The launch of that index, in the order in which they ran; 0, or 1 if there
 * is none. */
int ptx_emulator_get_launch(size_t index, ptx_emulator_launch* launch);

/* Forgets calls and launches. Work that is queued is not touched. */
void ptx_emulator_reset_counters(void);

/* ---- faults ---- */

/* Faults of kernels, copies and library calls since the start or the last
 * clearing. The first one breaks the device: all later calls fail. */
size_t ptx_emulator_fault_count(void);
/* The text of the last fault, valid until the thread's next call; "" if there
 * was none. */
const char* ptx_emulator_last_fault(void);
/* Drops queued work if the device is broken, and makes it usable again. */
void ptx_emulator_clear_faults(void);

/* ---- state ---- */

/* Operations that are queued and have not run. */
size_t ptx_emulator_pending(void);
/* 1 in the mode in which nothing is executed (PTX_EMULATOR_NULL). */
int ptx_emulator_is_null(void);

#ifdef __cplusplus
}
#endif

#endif /* PTX_EMULATOR_INSPECT_H_ */

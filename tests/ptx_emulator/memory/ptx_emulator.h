/* What a program under test may tell the emulator. The functions are exported
 * by the emulator's libcudart; look them up with dlsym(RTLD_DEFAULT, name): on
 * a real device they are not there. */
#ifndef PTX_EMULATOR_H_
#define PTX_EMULATOR_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For programs with a memory pool of their own: a block of `bytes` at the
 * device address `ptr`, inside an allocation of the CUDA runtime, is handed
 * out (its contents count as uninitialised) or given back (every access is an
 * error). They take effect in the order of `stream` (a cudaStream_t; NULL is
 * the legacy default stream), like the work that uses the block. After the
 * first call for an allocation only blocks that are handed out may be accessed
 * in it. They return 0, or 1 if the stream doesn't exist or the address is not
 * the device's; a range that is not inside one live allocation is reported on
 * stderr when it is its turn. */
int ptx_emulator_mark_allocated(const void* ptr, size_t bytes, void* stream);
int ptx_emulator_mark_freed(const void* ptr, size_t bytes, void* stream);

typedef int (*ptx_emulator_mark_function)(const void*, size_t, void*);

#ifdef __cplusplus
}
#endif

#endif /* PTX_EMULATOR_H_ */

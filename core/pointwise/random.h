// Random numbers: the definition that both backends share.
//
// Philox4×32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). Key: the 64-bit seed. Counter: (i / L as 64 bits,
// offset as 64 bits), where i is the row-major index of the element in the
// leaf's own shape and L the elements that one block of four words gives:
// four for float32 (and the half types, rounded from it), two for float64.
//   uniform float32: (word >> 8) · 2⁻²⁴;  float64: (hi:lo >> 11) · 2⁻⁵³
//   normal: Box–Muller on pairs of uniforms (u, v) of one block:
//     r = sqrt(−2·log(1 − u)); element even: r·cospi(2v), odd: r·sinpi(2v)
// log and sincospi of the normal are made of explicit fma and bit operations
// in scalar_functions.h, so the bits are the same on every device.
#pragma once

// Random numbers: the definition that both backends share.
//
// Philox4×32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011). Key: the 64-bit seed. Counter: (i / L as 64 bits,
// offset as 64 bits), where i is the row-major index of the element in the
// leaf's own shape and L the elements that one block of four words gives:
// four for float32 (and the half types), two for float64.
//   uniform float32: (word >> 8) · 2⁻²⁴;  float64: (hi:lo >> 11) · 2⁻⁵³, hi and
//     lo being words 2j and 2j + 1
//   normal: Box–Muller on pairs of uniforms (u, v) of one block:
//     r = sqrt(−2·log(1 − u)); element even: r·cospi(2v), odd: r·sinpi(2v)
// The half types are made of float32: normal rounded to nearest, uniform cut
// off, so that it stays below 1. log and sincospi of the normal are made of
// explicit fma and bit operations (core/pointwise/scalar_random.h), so the bits
// are the same on every device.
#pragma once

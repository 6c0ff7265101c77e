// Philox4×32-10 and the uniform and normal numbers made of it, as
// core/pointwise/random.h defines them, with the same bits for every value
// type: integer operations, + − × √ and explicit fma only.
//
// Includes nothing; include it after scalar_functions.h. W is a 32-bit word, or
// a pack of words, for which mul_wide(W, unsigned, W& high, W& low) is there.
#pragma once

// c[0..3]: the counter, then the random words. Packs may hold rubbish above the
// 32 bits of a word.
template <class W>
JACQUARD_FN void philox4x32_10(W (&c)[4], unsigned key0, unsigned key1) {
  for (int round = 0; round < 10; ++round) {
    W high0, low0, high1, low1;
    mul_wide(c[0], 0xd2511f53u, high0, low0);
    mul_wide(c[2], 0xcd9e8d57u, high1, low1);
    c[0] = high1 ^ c[1] ^ W(key0);
    c[1] = low1;
    c[2] = high0 ^ c[3] ^ W(key1);
    c[3] = low0;
    key0 += 0x9e3779b9u;
    key1 += 0xbb67ae85u;
  }
}

// log(x) for 2⁻⁵³ ≤ x ≤ 1. float32 after N. Juffa, float64 after fdlibm's
// e_log.c (K. C. Ng); under 1 ulp.
template <class V>
JACQUARD_FN V random_log(V x) {
  using I = typename Traits<V>::Int;
  if constexpr (kIsDouble<V>) {
    // x = 2^k (1 + f), sqrt(1/2) < 1 + f < sqrt(2)
    const I above = bits_of(x) - I(0x3fe6a09e00000000);
    const I k = above >> 52;
    const V e = to_float(k);
    const V f = float_of_bits(bits_of(x) - (k << 52)) - V(1);
    const V s = f / (V(2) + f);
    const V z = s * s;
    const V r =
        z * fma_polynomial(z, 6.666666666666735130e-01,
                           3.999999999940941908e-01, 2.857142874366239149e-01,
                           2.222219843214978396e-01, 1.818357216161805012e-01,
                           1.531383769920937332e-01, 1.479819860511658591e-01);
    const V half = V(0.5) * f * f;
    const V low = fma_(s, half + r, e * V(1.90821492927058770002e-10));
    return fma_(e, V(6.93147180369123816490e-01), f - (half - low));
  } else {
    const I k = (bits_of(x) - I(0x3f2aaaab)) >> 23;
    const V e = to_float(k);
    const V m = float_of_bits(bits_of(x) - (k << 23)) - V(1);
    const V s = m * m;
    const V odd =
        fma_(fma_(V(0.140869141), s, V(0.139814854)), s, V(0.200120345));
    V r = fma_(fma_(V(-0.130310059), s, V(-0.121483512)), s, V(-0.166846126));
    r = fma_(r, s, V(-0.249996200));
    r = fma_(odd, m, r);
    r = fma_(r, m, V(0.333331972));
    r = fma_(r, m, V(-0.5));
    r = fma_(r, s, m);
    return fma_(e, V(0.693147182), r);
  }
}

// sin(2πv) and cos(2πv) for 0 ≤ v < 1, after N. Juffa; under 1 ulp.
template <class V>
JACQUARD_FN void random_sincos(V v, V& sine, V& cosine) {
  // 2v = q/2 + t, |t| ≤ 1/4
  const V q = rint_(V(4) * v);
  const V t = fma_(q, V(-0.5), v + v);
  const V z = t * t;
  V s, c;
  if constexpr (kIsDouble<V>) {
    s = fma_polynomial(z, -5.1677127800499516e+0, 2.5501640398732688e+0,
                       -5.9926452893214921e-1, 8.2145868949323936e-2,
                       -7.3700183130883555e-3, 4.6151442520157035e-4);
    c = fma_polynomial(z, 1.0, -4.9348022005446790e+0, 4.0587121264167623e+0,
                       -1.3352627688538006e+0, 2.3533063028328211e-1,
                       -2.5806887942825395e-2, 1.9294935641298806e-3,
                       -1.0369917389758117e-4);
    s = fma_(t, V(3.1415926535897931e+0), s * (z * t));
  } else {
    s = fma_polynomial(z, -5.16772413e+0, 2.55039954e+0, -5.95703125e-1);
    c = fma_polynomial(z, 1.0, -4.93480206e+0, 4.05870390e+0, -1.33502197e+0,
                       2.31384277e-1);
    s = fma_(t, V(3.14159274e+0), s * (z * t));
  }
  // Quarter turns: q = 0 … 4.
  const auto swapped = (q == V(1)) | (q == V(3));
  sine = select(swapped, c, s);
  cosine = select(swapped, s, c);
  sine = select((q == V(2)) | (q == V(3)), -sine, sine);
  cosine = select((q == V(1)) | (q == V(2)), -cosine, cosine);
}

// Two standard normal numbers from two uniform ones (Box and Muller).
template <class V>
JACQUARD_FN void normal_pair(V u, V v, V& even, V& odd) {
  V sine, cosine;
  random_sincos(v, sine, cosine);
  const V r = sqrt_(V(-2) * random_log(V(1) - u));
  even = r * cosine;
  odd = r * sine;
}

// The scalar functions of fused programs: op_<name> for each primitive of
// core/pointwise/primitives.h that maps elements to elements.
//
// Templates over the value type V: float, double or an integer under CUDA, a
// pack of them on the CPU. What V must have is written in scalar_basics.h.
// Includes nothing: include it inside a namespace, after scalar_basics.h and
// what gives V its operations. Constants are written as doubles, choice is by
// select alone, and fma is written out. Results are within 4 ulp; special
// values are those of the C standard or of the comments in primitives.h.
#pragma once

// --- arithmetic: integers wrap ----------------------------------------------

template <class V>
JACQUARD_FN V op_add(V a, V b) {
  return a + b;
}
template <class V>
JACQUARD_FN V op_sub(V a, V b) {
  return a - b;
}
template <class V>
JACQUARD_FN V op_mul(V a, V b) {
  return a * b;
}
template <class V>
JACQUARD_FN V op_neg(V a) {
  return -a;
}
#define JACQUARD_WRAP(T, U)                                              \
  JACQUARD_FN T op_add(T a, T b) { return static_cast<T>((U)a + (U)b); } \
  JACQUARD_FN T op_sub(T a, T b) { return static_cast<T>((U)a - (U)b); } \
  JACQUARD_FN T op_mul(T a, T b) { return static_cast<T>((U)a * (U)b); } \
  JACQUARD_FN T op_neg(T a) { return static_cast<T>((U)0 - (U)a); }
JACQUARD_WRAP(int, unsigned)
JACQUARD_WRAP(long, unsigned long)
JACQUARD_WRAP(long long, unsigned long long)
#undef JACQUARD_WRAP

template <class V>
JACQUARD_FN V op_div(V a, V b) {
  return a / b;
}
template <class V>
JACQUARD_FN V op_mulz(V a, V b) {
  return select(a == V(0), V(0), op_mul(a, b));
}

// Both operands are kept from meeting in `>` alone: NaN wins.
template <class V>
JACQUARD_FN V op_maximum(V a, V b) {
  return select((a > b) | (a != a), a, b);
}
template <class V>
JACQUARD_FN V op_minimum(V a, V b) {
  return select((a < b) | (a != a), a, b);
}
template <class V>
JACQUARD_FN V op_relu(V x) {
  return select(x <= V(0), V(0), x);
}
template <class V>
JACQUARD_FN V op_sign(V x) {
  return select(x > V(0), V(1),
                select(x < V(0), V(-1), select(x == V(0), V(0), x)));
}

template <class V>
JACQUARD_FN V op_abs(V x) {
  using T = typename Traits<V>::Scalar;
  if constexpr (T(0.5) != T(0))
    return abs_(x);
  else
    return select(x < V(0), op_neg(x), x);
}

// Integers: a zero divisor gives 0; −1 is replaced, for the smallest integer
// has no negative.
template <class V>
JACQUARD_FN V op_fmod(V a, V b) {
  using T = typename Traits<V>::Scalar;
  if constexpr (T(0.5) != T(0))
    return lib_fmod(a, b);
  else
    return a % select((b == V(0)) | (b == V(-1)), V(1), b);
}
template <class V>
JACQUARD_FN V op_remainder(V a, V b) {
  using T = typename Traits<V>::Scalar;
  const V r = op_fmod(a, b);
  const V moved = select((r < V(0)) ^ (b < V(0)), r + b, r);
  if constexpr (T(0.5) != T(0))
    return select(r == V(0), copysign_(V(0), b), moved);
  else
    return select(r == V(0), r, moved);
}

// Integer power by squaring, of scalars. Wraps; exponent < 0 gives 0 but for
// the bases ±1.
template <class T>
JACQUARD_FN T int_pow(T base, T exponent) {
  if (exponent < 0)
    return base == 1 ? T(1) : base == -1 ? T(exponent % 2 == 0 ? 1 : -1) : T(0);
  T result = 1;
  while (exponent != 0) {
    if (exponent % 2 != 0) result = op_mul(result, base);
    base = op_mul(base, base);
    exponent /= 2;
  }
  return result;
}
#define JACQUARD_INT_POW(T) \
  JACQUARD_FN T lib_pow(T a, T b) { return int_pow(a, b); }
JACQUARD_INT_POW(int)
JACQUARD_INT_POW(long)
JACQUARD_INT_POW(long long)
#undef JACQUARD_INT_POW

template <class V>
JACQUARD_FN V op_floor(V x) {
  return floor_(x);
}
template <class V>
JACQUARD_FN V op_ceil(V x) {
  return ceil_(x);
}
template <class V>
JACQUARD_FN V op_trunc(V x) {
  return trunc_(x);
}
template <class V>
JACQUARD_FN V op_round(V x) {
  return rint_(x);
}

// --- comparisons and logic ---------------------------------------------------

#define JACQUARD_COMPARISON(name, operation) \
  template <class V>                         \
  JACQUARD_FN auto op_##name(V a, V b) {     \
    return a operation b;                    \
  }
JACQUARD_COMPARISON(eq, ==)
JACQUARD_COMPARISON(ne, !=)
JACQUARD_COMPARISON(lt, <)
JACQUARD_COMPARISON(le, <=)
JACQUARD_COMPARISON(gt, >)
JACQUARD_COMPARISON(ge, >=)
#undef JACQUARD_COMPARISON

// x − x is 0 for finite x, else NaN.
template <class V>
JACQUARD_FN auto op_is_nan(V x) {
  return x != x;
}
template <class V>
JACQUARD_FN auto op_is_finite(V x) {
  return x - x == V(0);
}
template <class V>
JACQUARD_FN auto op_is_inf(V x) {
  return (x == x) & (x - x != V(0));
}

// Operands are masks, or 0 and 1.
template <class M>
JACQUARD_FN M op_logical_and(M a, M b) {
  return a & b;
}
template <class M>
JACQUARD_FN M op_logical_or(M a, M b) {
  return a | b;
}
template <class M>
JACQUARD_FN M op_logical_xor(M a, M b) {
  return a ^ b;
}
template <class M>
JACQUARD_FN M op_logical_not(M a) {
  return a ^ M(1);
}

template <class M, class V>
JACQUARD_FN V op_where(M m, V a, V b) {
  return select(m, a, b);
}

// --- elementary functions ----------------------------------------------------

#define JACQUARD_UNARY(name)     \
  template <class V>             \
  JACQUARD_FN V op_##name(V x) { \
    return lib_##name(x);        \
  }
#define JACQUARD_BINARY(name)         \
  template <class V>                  \
  JACQUARD_FN V op_##name(V a, V b) { \
    return lib_##name(a, b);          \
  }
JACQUARD_ELEMENTARY(JACQUARD_UNARY, JACQUARD_BINARY)
JACQUARD_UNARY(lgamma)
#undef JACQUARD_UNARY
#undef JACQUARD_BINARY

template <class V>
JACQUARD_FN V op_sqrt(V x) {
  return sqrt_(x);
}
template <class V>
JACQUARD_FN V op_rsqrt(V x) {
  return V(1) / sqrt_(x);
}
template <class V>
JACQUARD_FN V op_sigmoid(V x) {
  const V e = lib_exp(-abs_(x));
  return select(x < V(0), e, V(1)) / (V(1) + e);
}

// c[0] + x·(c[1] + x·(…)): Horner's scheme.
template <class V>
JACQUARD_FN V polynomial(V x, double c) {
  (void)x;
  return V(c);
}
template <class V, class... C>
JACQUARD_FN V polynomial(V x, double c, C... rest) {
  return polynomial(x, rest...) * x + V(c);
}

// The same by fma.
template <class V>
JACQUARD_FN V fma_polynomial(V x, double c) {
  (void)x;
  return V(c);
}
template <class V, class... C>
JACQUARD_FN V fma_polynomial(V x, double c, C... rest) {
  return fma_(fma_polynomial(x, rest...), x, V(c));
}

// erfinv(x) / x as a function of t = log(1 − x²), after N. Juffa; error 2.4
// ulp in float32. (Giles, "Approximating the erfinv function", 2012, has the
// idea.)
template <class V>
JACQUARD_FN V erfinv_ratio(V t) {
  const V near_one =
      fma_polynomial(t, 8.40016484e-1, -2.64646143e-1, 4.83185798e-3,
                     3.02698812e-3, 3.93552968e-4, 2.84108955e-5, 1.22150334e-6,
                     2.93243101e-8, 3.03697567e-10);
  const V middle = fma_polynomial(t, 8.86226892e-1, -2.32015476e-1,
                                  1.15392581e-2, 2.31468678e-3, -1.47697632e-4,
                                  -5.61530760e-5, 1.12963626e-7, 1.22774793e-6,
                                  1.43285448e-7, 5.43877832e-9);
  return select(t < V(-6.125), near_one, middle);
}

template <class V>
JACQUARD_FN V op_erfinv(V x) {
  const V a = abs_(x);
  const V t = lib_log((V(1) - a) * (V(1) + a));
  V y = a * erfinv_ratio(t);
  if constexpr (kIsDouble<V>) {
    // Beyond float32's range: a fit in √−t. Then one step of Halley's method
    // on erf, or on erfc where 1 − x is exact.
    const V s = sqrt_(-t);
    const V far = polynomial(s, 0.17225051466095114, 0.55395667834580579,
                             0.25036428292054162, -0.080986483785507124,
                             0.016881204579034557, -0.0023107882108017179,
                             0.00020163520146212499, -1.0205453781305818e-05,
                             2.2857534967627364e-07);
    y = select(t < V(-15.0), far, y);
    const V residual =
        select(a < V(0.5), lib_erf(y) - a, (V(1) - a) - lib_erfc(y));
    const V u = residual * lib_exp(y * y) * V(0.88622692545275801365);
    y = y - u / (V(1) + y * u);
  }
  y = select(a == V(1), V(1) / (V(1) - a), y);
  return copysign_(y, x);
}

// --- gamma functions ---------------------------------------------------------

// [1, 2]: the rational approximation of Boost.Math (J. Maddock), exact about
// the root; up by the recurrence below 10, then the asymptotic series; x < 1 by
// reflection. ±∞ at ∓0, NaN at the negative integers.
template <class V>
JACQUARD_FN V op_digamma(V x) {
  const auto reflected = x < V(0.5);
  const V z = select(reflected, V(1) - x, x);

  V small = select(z < V(10), z, V(1.5));
  V sum = V(0);
  for (int i = 0; i < 8; ++i) {
    const auto above = small > V(2);
    small = select(above, small - V(1), small);
    sum = select(above, sum + V(1) / small, sum);
  }
  // [0.5, 1): one step up.
  const auto below = small < V(1);
  sum = select(below, V(-1) / small, sum);
  small = select(below, small + V(1), small);
  const V u = small - V(1);
  // The root in parts, so that g is exact enough about it.
  V g;
  if constexpr (kIsDouble<V>) {
    g = small - V(1569415565.0 / 1073741824.0);
    g = g - V((381566830.0 / 1073741824.0) / 1073741824.0);
    g = g - V(0.9016312093258695918615325266959189453125e-19);
  } else {
    g = (small - V(1.4616321325302124)) - V(1.2438149939e-08);
  }
  const V p = polynomial(u, 0.25479851061131551, -0.32555031186804491,
                         -0.65031853770896507, -0.28919126444774784,
                         -0.045251321448739056, -0.0020713321167745952);
  const V q = polynomial(u, 1.0, 2.0767117023730469, 1.4606242909763515,
                         0.43593529692665969, 0.054151797245674225,
                         0.0021284987017821144, -0.55789841213675513e-6);
  const V near = (g * V(0.99558162689208984) + g * (p / q)) + sum;

  const V large = select(z < V(10), V(10), z);
  const V w = V(1) / (large * large);
  const V series =
      polynomial(w, 1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132,
                 -691.0 / 32760, 1.0 / 12, -3617.0 / 8160);
  const V far = lib_log(large) - (V(0.5) / large + w * series);
  V result = select(z < V(10), near, far);

  // ψ(x) = ψ(1 − x) − π cot(π x), the cotangent by the tangent of the smaller
  // of the distances to the nearest integer and to the nearest half.
  const V remainder = x - rint_(x);
  const V distance = abs_(remainder);
  const auto close = distance < V(0.25);
  const V tangent = lib_tan(V(3.14159265358979323846) *
                            select(close, distance, V(0.5) - distance));
  const V pi(3.14159265358979323846);
  const V cotangent =
      copysign_(select(close, pi / tangent, pi * tangent), remainder);
  const V pole = select(x == V(0), V(-1) / x, remainder / remainder);
  result = select(reflected, result - cotangent, result);
  result = select(reflected & (remainder == V(0)), pole, result);
  return select(x == x, result, x);
}

// (x + k)^−s, corrected for the rounding of the sum.
JACQUARD_FN double shifted_power(double x, double k, double s) {
  const double q = x + k;
  const double added = q - x;
  const double lost = (x - (q - added)) + (k - added);
  const double power = lib_pow(q, -s);
  return q < 1e300 ? power - power * (s * lost / q) : power;
}

// Hurwitz' zeta(s, x), x > 0, s ≥ 2 an integer, by Euler and Maclaurin's
// formula: terms up to q = x + m ≥ s + 10, the integral, and Bernoulli's
// series, the smallest first. A scalar function.
JACQUARD_FN double hurwitz_zeta(double s, double x) {
  const double m = x < s + 10 ? ceil_(s + 10 - x) : 0;
  const double q = x + m;
  const double last = shifted_power(x, m, s);
  double sum = 0;
  // B2j / (2j)!
  const double bernoulli[] = {1.0 / 12,
                              -1.0 / 720,
                              1.0 / 30240,
                              -1.0 / 1209600,
                              1.0 / 47900160,
                              -691.0 / 1307674368000,
                              1.0 / 74724249600,
                              -3617.0 / 10670622842880000,
                              43867.0 / 5109094217170944000,
                              -174611.0 / 802857662698291200000.0};
  double factor = s * last / q;
  for (int j = 0; j < 10; ++j) {
    sum += factor * bernoulli[j];
    const double n = s + 2 * j;
    factor *= (n + 1) * (n + 2) / (q * q);
  }
  sum += 0.5 * last + shifted_power(x, m, s - 1) / (s - 1);
  for (double k = m - 1; k >= 0; k -= 1) sum += shifted_power(x, k, s);
  return sum;
}

// ψ⁽ⁿ⁾(x) = (−1)ⁿ⁺¹ n! ζ(n + 1, x), n = 1 … 170. For x < 0 the terms of
// negative base are two more zeta functions. (−1)ⁿ⁺¹∞ at the poles. A scalar
// function, computed in float64.
JACQUARD_FN double polygamma_double(double n, double x) {
  const double s = n + 1;
  const bool odd = n - 2 * floor_(n / 2) == 1;
  double sign = odd ? 1.0 : -1.0;
  double zeta;
  if (x > 0) {
    zeta = hurwitz_zeta(s, x);
  } else {
    const double above = x - floor_(x), below = ceil_(x) - x;
    if (above == 0) return sign * (1 / above);
    const double mirrored = hurwitz_zeta(s, below) - hurwitz_zeta(s, 1 - x);
    zeta = hurwitz_zeta(s, above) + sign * mirrored;
  }
  double factorial = 1;
  for (int k = 2; k <= n; ++k) factorial *= k;
  return sign * factorial * zeta;
}
JACQUARD_FN double lib_polygamma(double n, double x) {
  return polygamma_double(n, x);
}
JACQUARD_FN float lib_polygamma(float n, float x) {
  return static_cast<float>(polygamma_double(n, x));
}
template <class V>
JACQUARD_FN V op_polygamma(V n, V x) {
  return lib_polygamma(n, x);
}

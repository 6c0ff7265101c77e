// Reductions inside a block, and blocks that finish the work of all. Every
// order of combination is a function of sizes alone.

JACQUARD_FN void lowest(bool& x) { x = false; }
JACQUARD_FN void lowest(int& x) { x = static_cast<int>(0x80000000u); }
JACQUARD_FN void lowest(long long& x) {
  x = static_cast<long long>(0x8000000000000000ull);
}
JACQUARD_FN void lowest(float& x) {
  x = float_of_bits(static_cast<int>(0xff800000u));
}
JACQUARD_FN void lowest(double& x) {
  x = float_of_bits(static_cast<long long>(0xfff0000000000000ull));
}
JACQUARD_FN bool opposite(bool x) { return !x; }
JACQUARD_FN int opposite(int x) { return ~x; }
JACQUARD_FN long long opposite(long long x) { return ~x; }
JACQUARD_FN float opposite(float x) { return -x; }
JACQUARD_FN double opposite(double x) { return -x; }

struct Sum {
  template <class T>
  static JACQUARD_FN T combine(T a, T b) {
    return op_add(a, b);
  }
  template <class T>
  static JACQUARD_FN void neutral(T& x) {
    x = T(0);
  }
};
struct Product {
  template <class T>
  static JACQUARD_FN T combine(T a, T b) {
    return op_mul(a, b);
  }
  template <class T>
  static JACQUARD_FN void neutral(T& x) {
    x = T(1);
  }
};
struct Maximum {
  template <class T>
  static JACQUARD_FN T combine(T a, T b) {
    return op_maximum(a, b);
  }
  template <class T>
  static JACQUARD_FN void neutral(T& x) {
    lowest(x);
  }
};
struct Minimum {
  template <class T>
  static JACQUARD_FN T combine(T a, T b) {
    return op_minimum(a, b);
  }
  template <class T>
  static JACQUARD_FN void neutral(T& x) {
    T low;
    lowest(low);
    x = opposite(low);
  }
};
// Of bits of which at most one thread has any.
struct Either {
  template <class T>
  static JACQUARD_FN T combine(T a, T b) {
    return a | b;
  }
  template <class T>
  static JACQUARD_FN void neutral(T& x) {
    x = T(0);
  }
};

template <class T>
JACQUARD_FN T exchange(T x, int mask) {
  return __shfl_xor_sync(0xffffffffu, x, mask);
}
JACQUARD_FN bool exchange(bool x, int mask) {
  return __shfl_xor_sync(0xffffffffu, static_cast<int>(x), mask) != 0;
}
// The value of the first of `lanes` threads.
template <class T>
JACQUARD_FN T first_of(T x, int lanes) {
  return __shfl_sync(0xffffffffu, x, 0, lanes);
}
JACQUARD_FN bool first_of(bool x, int lanes) {
  return __shfl_sync(0xffffffffu, static_cast<int>(x), 0, lanes) != 0;
}

// Over groups of `lanes` neighbouring threads, a power of two up to 32; all
// threads of a warp call it, and all of a group get the result.
template <class Op, class T>
JACQUARD_FN T fold_lanes(T x, int lanes) {
#pragma unroll 1
  for (int m = lanes / 2; m > 0; m /= 2) x = Op::combine(x, exchange(x, m));
  return first_of(x, lanes);
}
// Over the first `warps` warps of a block; all its threads call it and get the
// result.
template <class Op, int warps, class T>
JACQUARD_FN T fold_block(T x) {
  __shared__ T pool[warps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  x = fold_lanes<Op>(x, 32);
  __syncthreads();
  if (lane == 0 && warp < warps) pool[warp] = x;
  __syncthreads();
  x = pool[lane % warps];
  return fold_lanes<Op>(x, warps);
}

// A thread's own partial results.
template <class Op, class T, int N>
JACQUARD_FN void clear(T (&x)[N]) {
#pragma unroll
  for (int j = 0; j < N; ++j) Op::neutral(x[j]);
}
template <class Op, class T, int N>
JACQUARD_FN T fold_items(const T (&x)[N]) {
  T y[N];
#pragma unroll
  for (int j = 0; j < N; ++j) y[j] = x[j];
#pragma unroll
  for (int h = N / 2; h > 0; h /= 2)
#pragma unroll
    for (int j = 0; j < h; ++j) y[j] = Op::combine(y[j], y[j + h]);
  return y[0];
}

// Whether this block is the last of `count` to come here. What each had written
// before is then visible. Leaves the ticket zero.
JACQUARD_FN bool last_to_arrive(unsigned* ticket, unsigned count) {
  __shared__ unsigned last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(ticket, 1u) == count - 1;
    if (last) *ticket = 0;
  }
  __syncthreads();
  const bool result = last != 0;
  __threadfence();
  return result;
}

// A partial result, which another block may have written.
template <class S>
JACQUARD_FN typename S::Value read_partial(const typename S::Bits* from) {
  return S::Element::decode(read_at<true, typename S::Bits>(from));
}
// One value of `count` partial ones, by the first kFoldBlock threads of a
// block.
template <class S>
JACQUARD_FN typename S::Value combine_partials(const typename S::Bits* from,
                                               Index count) {
  typename S::Value x;
  S::Op::neutral(x);
  if (threadIdx.x < kFoldBlock)
#pragma unroll 1
    for (Index s = threadIdx.x; s < count; s += kFoldBlock)
      x = S::Op::combine(x, read_partial<S>(from + s));
  return fold_block<typename S::Op, kFoldBlock / 32>(x);
}

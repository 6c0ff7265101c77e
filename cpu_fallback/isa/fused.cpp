// Chains of arithmetic in one pass: what one tile function after another would
// compute, without the way through memory in between.
#include "cpu_fallback/isa/pointwise.h"

namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL {
namespace {

template <Link link, class V>
JACQUARD_INLINE V joined(V x, V y) {
  if constexpr (link == Link::add) return x + y;
  if constexpr (link == Link::sub) return x - y;
  if constexpr (link == Link::mul) return x * y;
  if constexpr (link == Link::mulz) return op_mulz(x, y);
  if constexpr (link == Link::from) return y - x;
}

template <class T, Link first, Link second>
void chain_of_two(const void* a, const void* b, const void* c, const void*,
                  void* out, std::size_t n) {
  using V = Pack<T>;
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
  const T* z = static_cast<const T*>(c);
  T* to = static_cast<T*>(out);
  for (std::size_t i = 0; i < n; i += V::lanes)
    joined<second>(joined<first>(V::load(x + i), V::load(y + i)),
                   V::load(z + i))
        .store(to + i);
}

template <class T, Link first, Link second, Link third>
void chain_of_three(const void* a, const void* b, const void* c, const void* d,
                    void* out, std::size_t n) {
  using V = Pack<T>;
  const T* x = static_cast<const T*>(a);
  const T* y = static_cast<const T*>(b);
  const T* z = static_cast<const T*>(c);
  const T* w = static_cast<const T*>(d);
  T* to = static_cast<T*>(out);
  for (std::size_t i = 0; i < n; i += V::lanes)
    joined<third>(joined<second>(joined<first>(V::load(x + i), V::load(y + i)),
                                 V::load(z + i)),
                  V::load(w + i))
        .store(to + i);
}

// f<i>() for each link.
template <std::size_t... i, class F>
void each_of(std::index_sequence<i...>, F f) {
  (f.template operator()<i>(), ...);
}
template <class F>
void each_link(F f) {
  each_of(std::make_index_sequence<kLinks>(), f);
}

template <class T>
void fill(KernelTable& table, DType dtype) {
  const int d = static_cast<int>(dtype);
  each_link([&]<std::size_t i>() {
    each_link([&]<std::size_t j>() {
      table.chain2[d][i][j] = &chain_of_two<T, Link{i}, Link{j}>;
      each_link([&]<std::size_t k>() {
        table.chain3[d][i][j][k] =
            &chain_of_three<T, Link{i}, Link{j}, Link{k}>;
      });
    });
  });
}

}  // namespace

void fill_chains(KernelTable& table) {
  fill<float>(table, DType::float32);
  fill<double>(table, DType::float64);
}

}  // namespace jacquard::cpu_fallback::JACQUARD_ISA_LEVEL

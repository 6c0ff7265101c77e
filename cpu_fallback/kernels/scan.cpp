#include "cpu_fallback/kernels/scan.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "cpu_fallback/runtime/threads.h"

namespace jacquard::cpu_fallback {
namespace {

using backend::ScanLaunch;

// Steps of an axis that are computed one after another; a longer axis is cut.
constexpr std::int64_t kSteps = 8192;
// Neighbours of the inner axes that one task walks together.
constexpr std::int64_t kWidth = 64;

template <class T>
class Scan {
 public:
  explicit Scan(const ScanLaunch& l)
      : l_(l),
        a_(static_cast<const T*>(l.a)),
        b_(static_cast<const T*>(l.b)),
        out_(static_cast<T*>(l.out)) {}

  void run() {
    strips_ = (l_.inner + kWidth - 1) / kWidth;
    pieces_ = (l_.extent + kSteps - 1) / kSteps;
    if (pieces_ == 1) {
      parallel_for(l_.outer * strips_, [&](std::int64_t strip) {
        T h[kWidth];
        walk(strip, 0, h, nullptr);
      });
      return;
    }
    const auto count =
        static_cast<std::size_t>(l_.outer * strips_ * pieces_ * kWidth);
    totals_.resize(count);
    factors_.resize(a_ ? count : 0);
    parallel_for(l_.outer * strips_ * pieces_, [&](std::int64_t i) {
      T* total = &totals_[static_cast<std::size_t>(i * kWidth)];
      T* factor = factor_of(i);
      std::fill_n(total, kWidth, b_ ? T(0) : T(1));
      if (factor) std::fill_n(factor, kWidth, T(1));
      walk(i / pieces_, i % pieces_, total, factor);
    });
    parallel_for(l_.outer * strips_, [&](std::int64_t s) { carry(s); });
    parallel_for(l_.outer * strips_ * pieces_, [&](std::int64_t i) {
      T h[kWidth];
      if (i % pieces_ > 0)
        std::copy_n(&totals_[static_cast<std::size_t>((i - 1) * kWidth)],
                    kWidth, h);
      walk(i / pieces_, i % pieces_, h, nullptr, true);
    });
  }

 private:
  T* factor_of(std::int64_t i) {
    return a_ ? &factors_[static_cast<std::size_t>(i * kWidth)] : nullptr;
  }

  // One piece of one strip. h: what stands before it, and then its last value.
  // `factor` is multiplied by the coefficients on the way. Writes the result
  // only if `writes`, or if there is nothing but this walk.
  void walk(std::int64_t strip, std::int64_t piece, T* h, T* factor,
            bool writes = false) {
    writes = writes || pieces_ == 1;
    const std::int64_t first = strip % strips_ * kWidth;
    const std::int64_t width = std::min(kWidth, l_.inner - first);
    const std::int64_t base = strip / strips_ * l_.extent * l_.inner + first;
    const std::int64_t last = std::min(l_.extent, (piece + 1) * kSteps);
    for (std::int64_t s = piece * kSteps; s < last; ++s) {
      const std::int64_t j = l_.reverse ? l_.extent - 1 - s : s;
      const std::int64_t before = l_.reverse ? j + 1 : j - 1;
      const std::int64_t at = base + j * l_.inner;
      const T* b = b_ ? b_ + at : nullptr;
      if (s == 0) {
        std::copy_n(b ? b : a_ + at, width, h);
      } else {
        const T* a =
            a_ ? a_ + (l_.coefficient_of_previous ? base + before * l_.inner
                                                  : at)
               : nullptr;
        step(width, a, b, h, factor);
      }
      if (writes) std::copy_n(h, width, out_ + at);
    }
  }

  static void step(std::int64_t width, const T* a, const T* b, T* h,
                   T* factor) {
    for (std::int64_t i = 0; i < width; ++i) {
      T x = h[i];
      if (a) x *= a[i];
      if (b) x += b[i];
      h[i] = x;
    }
    if (!factor) return;
    for (std::int64_t i = 0; i < width; ++i) factor[i] *= a[i];
  }

  // Totals of the pieces become the values at their ends.
  void carry(std::int64_t strip) {
    for (std::int64_t p = 1; p < pieces_; ++p) {
      const std::int64_t i = strip * pieces_ + p;
      const T* before = &totals_[static_cast<std::size_t>((i - 1) * kWidth)];
      T* total = &totals_[static_cast<std::size_t>(i * kWidth)];
      const T* factor = factor_of(i);
      // Factors of many steps may overflow where nothing stands before them.
      for (std::int64_t k = 0; k < kWidth; ++k)
        total[k] = !a_              ? before[k] + total[k]
                   : !b_            ? before[k] * total[k]
                   : before[k] == 0 ? total[k]
                                    : factor[k] * before[k] + total[k];
    }
  }

  const ScanLaunch& l_;
  const T *a_, *b_;
  T* out_;
  std::int64_t strips_ = 0, pieces_ = 0;
  // For each piece kWidth values: what a scan of it alone, begun with the
  // neutral element, ends with; and the product of its coefficients.
  std::vector<T> totals_, factors_;
};

}  // namespace

void scan(const ScanLaunch& l) {
  if (l.outer == 0 || l.extent == 0 || l.inner == 0) return;
  switch (l.dtype) {
    case DType::float64:
      return Scan<double>(l).run();
    case DType::int32:
      return Scan<std::uint32_t>(l).run();
    case DType::int64:
      return Scan<std::uint64_t>(l).run();
    default:
      return Scan<float>(l).run();
  }
}

}  // namespace jacquard::cpu_fallback

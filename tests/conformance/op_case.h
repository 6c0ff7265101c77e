// The rule tables: one entry for each public differentiable operation, and what
// every entry has to fulfil (*_test.cpp), on the device under test.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "jacquard/jacquard.h"

namespace jacquard::conformance {

using Values = std::vector<TrackedTensor>;

// A row-major array on the host.
struct HostArray {
  Shape shape;
  std::vector<double> data;
  DType dtype = DType::float64;  // that it was read from
};

enum class Kind { real, integer, boolean };

// What is put at one operand's place.
struct Input {
  Shape shape{};                // elementwise cases take it from the variant
  double low = -2, high = 2;    // real: drawn from (low, high) …
  std::vector<double> avoid{};  // … not near these points
  bool avoid_integers = false;
  Kind kind = Kind::real;
  std::vector<double> values{};  // used as they are where given
};

// What an elementwise operation makes of integers and bools.
enum class OnIntegers { floating, kept, unspecified, skipped };

struct OpCase {
  std::string name;
  std::vector<Input> inputs;
  std::function<TrackedTensor(const Values&)> call;

  // What is right: of one element of each operand (elementwise cases, whose
  // operands broadcast), or of whole arrays.
  std::function<double(const double*)> at;
  std::function<HostArray(const std::vector<HostArray>&)> of;

  // False: the result is a constant, gradient zero.
  bool differentiable = true;
  // Has a kink where two elements of an operand are equal.
  bool distinct = false;
  // The first operands may be one tensor.
  bool repeatable = false;
  // Whether NaN and infinities are put in, and zeros must have the right sign.
  bool specials = true;
  bool signed_zeros = false;
  OnIntegers integers = OnIntegers::floating;
  // The result has the first floating operand's dtype, else the common one.
  bool first_decides = false;
  // Relative error of a float64 result; others in proportion to their epsilon.
  double tolerance = 1e-14;
  // Added to it: relative to 1, or to the largest result of a whole-array case.
  double slack = 0;
  // Of the gradient check.
  GradcheckOptions check{};

  bool elementwise() const { return static_cast<bool>(at); }
};

inline void PrintTo(const OpCase& c, std::ostream* out) { *out << c.name; }

// The tables.
std::vector<OpCase> unary_cases();
std::vector<OpCase> activation_cases();
std::vector<OpCase> binary_cases();
std::vector<OpCase> reduce_cases();
std::vector<OpCase> shape_cases();
std::vector<OpCase> index_cases();
std::vector<OpCase> linalg_cases();
std::vector<OpCase> row_cases();
std::vector<OpCase> scan_cases();
std::vector<OpCase> sort_cases();
// All of them; names are different.
const std::vector<OpCase>& all_cases();
// Those that fulfil a condition.
std::vector<OpCase> cases_where(bool (*condition)(const OpCase&));

// A name as GoogleTest takes it.
std::string test_name(const ::testing::TestParamInfo<OpCase>& info);

// How the elements of an operand lie in memory.
enum class Layout { dense, transposed, stepped, reversed, expanded };
inline constexpr Layout kLayouts[] = {Layout::dense, Layout::transposed,
                                      Layout::stepped, Layout::reversed,
                                      Layout::expanded};

// One way of calling an operation: shapes and layouts of its operands.
struct Variant {
  std::string name;
  std::vector<Shape> shapes;
  std::vector<Layout> layouts;
  bool repeated = false;  // one tensor for all operands
};
// Elementwise cases: all shapes and layouts; others: all layouts. Those that
// the case rules out are not among them.
std::vector<Variant> variants_of(const OpCase& c);
// Operands all of `shape` (elementwise) or of their own, dense.
Variant dense_variant(const OpCase& c, const Shape& shape);

using Generator = std::mt19937_64;
// The same numbers each run, others for each case.
Generator generator_for(const OpCase& c);

// An array of those values. With Layout::expanded the first axis repeats its
// first place.
TrackedTensor laid_out(const std::vector<double>& values, const Shape& shape,
                       DType dtype, Layout layout);
// Operands of the case; real ones in `dtype`. One, where it is repeated.
Values draw(const OpCase& c, const Variant& v, DType dtype, Generator& g);
// The case's function of what draw() gave.
TrackedTensor call(const OpCase& c, const Variant& v, const Values& drawn);

HostArray to_host(const TrackedTensor& t);
std::vector<HostArray> to_host(const Values& values);
// The case's reference at drawn operands.
HostArray expected(const OpCase& c, const Variant& v, const Values& drawn);

// Equal in shape and, within the case's tolerance for the dtype, in value; NaN
// and infinities exactly. `units` widens the tolerance.
::testing::AssertionResult agrees(const OpCase& c, const TrackedTensor& got,
                                  const HostArray& want, double units = 1);
// Equal in dtype, shape and every bit, NaN being NaN.
::testing::AssertionResult same_bits(const TrackedTensor& a,
                                     const TrackedTensor& b);

// The distance of 1 from the next number.
double epsilon_of(DType t);

// Fusion switched for a scope.
class Fusion {
 public:
  explicit Fusion(bool on) : before_(fusion_enabled()) { set_fusion(on); }
  ~Fusion() { set_fusion(before_); }
  Fusion(const Fusion&) = delete;
  Fusion& operator=(const Fusion&) = delete;

 private:
  bool before_;
};

class OperationTest : public ::testing::TestWithParam<OpCase> {};

}  // namespace jacquard::conformance

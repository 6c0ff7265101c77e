// Scalar functions that the C library does not have, in float64.
#pragma once

namespace jacquard::conformance {

double erfinv_reference(double x);
double digamma_reference(double x);
// Of order n ≥ 1, at x > 0.
double polygamma_reference(int n, double x);

}  // namespace jacquard::conformance

// What tests sum up distances by.
#pragma once

namespace ebb::test {

// The larger of two distances, and NaN if either is: std::max and comparisons alone lose one.
inline double worse_of(double a, double b) { return a != a || a > b ? a : b; }

}  // namespace ebb::test

// Tensors that hold special values, compared place by place.
#pragma once

#include <doctest/doctest.h>
#include <ebb/tensor/tensor.h>

#include <cmath>
#include <functional>
#include <vector>

namespace ebb::test {

// One check: equal shapes, NaN where `want` has one, the same infinity, else within
// margin(want's value) of it.
inline void check_alike(const Tensor& got, const Tensor& want,
                        const std::function<double(double)>& margin) {
  REQUIRE(got.shape() == want.shape());
  const std::vector<double> a = got.to_vector<double>(), b = want.to_vector<double>();
  std::size_t wrong = 0, first = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool alike = std::isnan(b[i])   ? std::isnan(a[i])
                       : std::isinf(b[i]) ? a[i] == b[i]
                                          : std::abs(a[i] - b[i]) <= margin(b[i]);
    if (!alike && wrong++ == 0) first = i;
  }
  CHECK_MESSAGE(wrong == 0, wrong << " of " << a.size() << " differ, the first at " << first << ": "
                                  << a[first] << " where " << b[first] << " is right");
}

}  // namespace ebb::test

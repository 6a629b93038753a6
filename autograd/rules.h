// What the files of operations share; no part of the interface.
#pragma once

#include <ebb/autograd/variable.h>

#include <utility>

namespace ebb::detail {

// The value, or an undefined Tensor for an undefined Variable (an absent bias).
inline Tensor value_or_none(const Variable& x) { return x.defined() ? x.value() : Tensor(); }

}  // namespace ebb::detail

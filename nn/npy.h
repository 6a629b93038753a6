// NumPy's .npy files.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <ebb/tensor/tensor.h>

#include <string>

namespace ebb {

// Versions 1.0 to 3.0, little-endian floats and integers of any width but u8 (types as in
// read_safetensors). Fortran order is transposed: the tensor has the array's shape and elements.
// Anything else, a wrong length too, is an Error naming the file, the cause and the mend.
Tensor read_npy(const std::string& path);

// Version 1.0, C order, as np.save. Replaces `path` in one step (see AtomicFile).
void write_npy(const std::string& path, const Tensor& tensor);

}  // namespace ebb

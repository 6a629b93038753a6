// NumPy's .npy files.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <ebb/tensor/io/atomic_file.h>
#include <ebb/tensor/tensor.h>

#include <string>

namespace ebb {

// Versions 1.0 to 3.0, little-endian floats and integers of any width but u8 (types as in
// read_safetensors). Fortran order is transposed: the tensor has the array's shape and elements.
// Anything else, a wrong length too, is an Error naming the file, what is wrong and what to do.
Tensor read_npy(const std::string& path);

// Version 1.0, C order, as np.save. Replaces `path` in one step (see AtomicFile).
void write_npy(const std::string& path, const Tensor& tensor);

// The same piece by piece, for what memory does not hold: rows of a first dimension of known
// length, in order. The file appears with commit(); without it nothing stays.
class NpyWriter {
 public:
  NpyWriter(const std::string& path, const Shape& shape, DType dtype = DType::float32);
  // (n, ...) of the rest of the shape; the dtype is the file's.
  void append(const Tensor& rows);
  // An Error unless all rows are there.
  void commit();

 private:
  std::string path_;
  AtomicFile file_;
  Shape row_;
  DType dtype_;
  std::int64_t left_;
};

}  // namespace ebb

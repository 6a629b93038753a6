// Tensor: a shape, a type and a handle to memory. No gradients here (see autograd/variable.h).
//
// Tensors are always contiguous in row-major order. Copying a Tensor copies the handle: both see
// the same memory. reshape shares memory; permute, slice and the like copy. Images are
// (N, H, W, C); parameters keep PyTorch's shapes.
//
// Threads: any number may call the functions of tensor/ at once, also on the same tensors as long
// as these are only read. A tensor that one thread changes (in place, or by assignment to the same
// Tensor object) no other may use meanwhile. Settings (set_thread_count, set_exact_convolutions)
// may be changed at any time. One call at a time has the team of threads; others that come
// meanwhile run on the thread that calls, with the same bits.
#pragma once

#include <ebb/tensor/device.h>
#include <ebb/tensor/dtype.h>
#include <ebb/tensor/shape.h>
#include <ebb/tensor/storage.h>

#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace ebb {

class Tensor {
 public:
  Tensor() = default;  // undefined: defined() is false, everything else is an Error

  // Uninitialised memory; the host's, pinned for copies to and from `device` where it knows such.
  static Tensor empty_pinned(const Shape& shape, DType dtype, Device device);
  static Tensor empty(const Shape& shape, DType dtype = DType::float32,
                      Device device = Device::cpu);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::float32,
                     Device device = Device::cpu);
  static Tensor zeros(const Shape& shape, DType dtype = DType::float32,
                      Device device = Device::cpu);
  static Tensor ones(const Shape& shape, DType dtype = DType::float32, Device device = Device::cpu);
  static Tensor scalar(double value, DType dtype = DType::float32, Device device = Device::cpu);
  // 0, 1, ..., n-1.
  static Tensor arange(std::int64_t n, DType dtype = DType::int64);
  // start, start + step, ... before stop; int64 where all three are whole, else float32.
  template <class A, class B, class C = int>
  requires(std::is_arithmetic_v<B>) static Tensor arange(A start, B stop, C step = 1) {
    if constexpr (std::is_integral_v<std::common_type_t<A, B, C>>)
      return integers(start, stop, step);
    else
      return arange(static_cast<double>(start), static_cast<double>(stop),
                    static_cast<double>(step), DType::float32);
  }
  static Tensor arange(double start, double stop, double step, DType dtype);
  // The same in whole numbers, exactly.
  static Tensor integers(std::int64_t start, std::int64_t stop, std::int64_t step);
  // n numbers from start to stop, both included.
  static Tensor linspace(double start, double stop, std::int64_t n, DType dtype = DType::float32);
  // (n, n), 1 on the diagonal.
  static Tensor eye(std::int64_t n, DType dtype = DType::float32);
  // Copies `values`, row-major; their number must be shape.numel().
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape) {
    return from_bytes(values.data(), values.size() * sizeof(T), shape, dtype_of<T>());
  }
  template <class T>
  static Tensor from(const std::vector<T>& values) {
    return from(values, Shape{static_cast<std::int64_t>(values.size())});
  }
  static Tensor from_bytes(const void* data, std::size_t bytes, const Shape& shape, DType dtype);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t size(std::int64_t dim) const { return shape_[dim]; }
  std::int64_t rank() const { return shape_.rank(); }
  std::int64_t numel() const { return numel_; }
  DType dtype() const { return dtype_; }
  Device device() const;
  std::size_t bytes() const { return static_cast<std::size_t>(numel_) * size_of(dtype_); }

  // The same memory under another shape; one size may be -1 (worked out from the rest).
  Tensor reshape(const std::vector<std::int64_t>& sizes) const;
  Tensor reshape(std::initializer_list<std::int64_t> sizes) const {
    return reshape(std::vector<std::int64_t>(sizes));
  }
  Tensor reshape(const Shape& shape) const;

  // The functions of tensor/ops/layout.h; all but squeeze and unsqueeze copy.
  Tensor select(std::int64_t dim, std::int64_t index) const;
  Tensor slice(std::int64_t dim, std::int64_t start, std::int64_t stop,
               std::int64_t step = 1) const;
  Tensor permute(const std::vector<std::int64_t>& dims) const;
  Tensor transpose(std::int64_t a, std::int64_t b) const;
  Tensor squeeze(std::int64_t dim) const;
  Tensor unsqueeze(std::int64_t dim) const;

  // Converted copies; `to` what it already is returns the same handle. Values that int64 cannot
  // hold become the nearest it can (NaN becomes 0).
  Tensor to(DType dtype) const;
  Tensor to(Device device) const;
  Tensor clone() const;

  // Elements on the host. T must be the dtype and the device cpu; else Error: data on another
  // device is reached by to(Device::cpu).
  template <class T>
  const T* data() const {
    check_host(dtype_of<T>());
    return static_cast<const T*>(storage_->data());
  }
  // For writing; counts as an in-place change.
  template <class T>
  T* mutable_data() {
    check_host(dtype_of<T>());
    storage_->bump_version();
    return static_cast<T*>(storage_->data());
  }
  // A host copy of the elements, from any device, converted to T.
  template <class T>
  std::vector<T> to_vector() const {
    Tensor host = to(dtype_of<T>()).to(Device::cpu);
    const T* first = host.data<T>();
    return std::vector<T>(first, first + numel_);
  }
  // The value of a tensor with one element; else Error.
  double item() const;

  // In place; both count as a change. copy_ needs equal shapes and converts the dtype.
  Tensor& fill_(double value);
  Tensor& copy_(const Tensor& source);

  std::uint64_t version() const { return storage_ ? storage_->version() : 0; }
  void bump_version() { storage_->bump_version(); }
  std::uint64_t storage_id() const { return storage_ ? storage_->id() : 0; }
  // True if this is the only handle to its memory.
  bool is_unique() const { return storage_.use_count() == 1; }
  bool shares_memory(const Tensor& other) const { return storage_ == other.storage_; }

  // For kernels only: the address on whatever device it is.
  void* raw() const { return storage_ ? storage_->data() : nullptr; }

 private:
  void check_host(DType dtype) const;

  std::shared_ptr<Storage> storage_;
  Shape shape_;
  std::int64_t numel_ = 0;
  DType dtype_ = DType::float32;
};

// A tensor under the name that a file or a network has it by.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

// The one device of all of `tensors` that are defined; an Error names `operation` when they
// differ.
Device common_device(std::string_view operation, std::initializer_list<const Tensor*> tensors);
// The same for the dtype.
DType common_dtype(std::string_view operation, std::initializer_list<const Tensor*> tensors);

}  // namespace ebb

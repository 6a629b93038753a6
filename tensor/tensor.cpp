#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/tensor.h>

#include <cmath>

namespace ebb {

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  Tensor result;
  result.shape_ = shape;
  result.numel_ = shape.numel();
  result.dtype_ = dtype;
  result.storage_ = Storage::allocate(device, result.bytes());
  return result;
}

Tensor Tensor::empty_pinned(const Shape& shape, DType dtype, Device device) {
  Tensor result;
  result.shape_ = shape;
  result.numel_ = shape.numel();
  result.dtype_ = dtype;
  result.storage_ = Storage::allocate_pinned(device, result.bytes());
  return result;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor result = empty(shape, dtype, device);
  result.fill_(value);
  return result;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  return full(shape, 0, dtype, device);
}

Tensor Tensor::ones(const Shape& shape, DType dtype, Device device) {
  return full(shape, 1, dtype, device);
}

Tensor Tensor::scalar(double value, DType dtype, Device device) {
  return full({}, value, dtype, device);
}

Tensor Tensor::arange(std::int64_t n, DType dtype) {
  Tensor result = empty({n}, dtype);
  dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* values = result.mutable_data<T>();
    for (std::int64_t i = 0; i < n; ++i) values[i] = static_cast<T>(i);
  });
  return result;
}

Tensor Tensor::arange(double start, double stop, double step, DType dtype) {
  const double count = std::ceil((stop - start) / step);
  check(step != 0 && std::isfinite(count) && count < 9e18,
        "arange: from {} to {} in steps of {}; give finite numbers and a step that is not 0", start,
        stop, step);
  Tensor result = empty({count > 0 ? static_cast<std::int64_t>(count) : 0}, dtype);
  dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* values = result.mutable_data<T>();
    for (std::int64_t i = 0; i < result.numel(); ++i)
      values[i] = static_cast<T>(start + static_cast<double>(i) * step);
  });
  return result;
}

Tensor Tensor::integers(std::int64_t start, std::int64_t stop, std::int64_t step) {
  check(step != 0, "arange: from {} to {} in steps of 0; give a step that is not 0", start, stop);
  // Unsigned differences, which no two int64 overflow.
  const bool up = step > 0, some = up ? start < stop : start > stop;
  const auto low = static_cast<std::uint64_t>(up ? start : stop);
  const auto high = static_cast<std::uint64_t>(up ? stop : start);
  const std::uint64_t size =
      up ? static_cast<std::uint64_t>(step) : -static_cast<std::uint64_t>(step);
  const std::uint64_t count = some ? (high - low - 1) / size + 1 : 0;
  check(count < std::uint64_t{1} << 60, "arange: from {} to {} in steps of {} are too many", start,
        stop, step);
  Tensor result = empty({static_cast<std::int64_t>(count)}, DType::int64);
  std::int64_t* values = result.mutable_data<std::int64_t>();
  for (std::uint64_t i = 0; i < count; ++i) values[i] = start + static_cast<std::int64_t>(i) * step;
  return result;
}

Tensor Tensor::linspace(double start, double stop, std::int64_t n, DType dtype) {
  check(is_floating(dtype), "linspace: needs float32 or float64, got {}", dtype);
  Tensor result = empty({n}, dtype);
  const double step = n > 1 ? (stop - start) / static_cast<double>(n - 1) : 0;
  dispatch_floating("linspace", dtype, [&](auto zero) {
    using T = decltype(zero);
    T* values = result.mutable_data<T>();
    // From both ends, so that both are exact.
    for (std::int64_t i = 0; i < n; ++i)
      values[i] = static_cast<T>(i < (n + 1) / 2 ? start + step * static_cast<double>(i)
                                                 : stop - step * static_cast<double>(n - 1 - i));
  });
  return result;
}

Tensor Tensor::eye(std::int64_t n, DType dtype) {
  Tensor result = zeros({n, n}, dtype);
  dispatch_all(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* values = result.mutable_data<T>();
    for (std::int64_t i = 0; i < n; ++i) values[i * n + i] = T(1);
  });
  return result;
}

Tensor Tensor::from_bytes(const void* data, std::size_t bytes, const Shape& shape, DType dtype) {
  Tensor result = empty(shape, dtype);
  check(bytes == result.bytes(), "tensor: {} bytes given, shape {} of {} needs {}", bytes, shape,
        dtype, result.bytes());
  if (bytes > 0) kernels(Device::cpu).upload(0, result.raw(), data, bytes);
  return result;
}

Device Tensor::device() const {
  check(defined(), "tensor: it is undefined; give it a value first");
  return storage_->device();
}

Tensor Tensor::reshape(const Shape& shape) const {
  check(defined(), "reshape: the tensor is undefined; give it a value first");
  check(shape.numel() == numel_, "reshape: {} has {} elements, {} would have {}", shape_, numel_,
        shape, shape.numel());
  Tensor result = *this;
  result.shape_ = shape;
  return result;
}

Tensor Tensor::reshape(const std::vector<std::int64_t>& sizes) const {
  std::vector<std::int64_t> known = sizes;
  std::int64_t product = 1;
  std::int64_t* unknown = nullptr;
  for (std::int64_t& size : known) {
    if (size == -1) {
      check(unknown == nullptr, "reshape: more than one -1 in ({}); at most one can be worked out",
            fmt::join(sizes, ", "));
      unknown = &size;
    } else {
      check(size >= 0 && multiply(product, size), "reshape: size {} in ({}) is not a size", size,
            fmt::join(sizes, ", "));
    }
  }
  if (unknown != nullptr) {
    check(product > 0 && numel_ % product == 0,
          "reshape: {} elements of {} do not divide into ({})", numel_, shape_,
          fmt::join(sizes, ", "));
    *unknown = numel_ / product;
  }
  return reshape(Shape(known));
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_ && defined()) return *this;
  Tensor result = empty(shape_, dtype, device());
  use("to", device(), kernels(device()).cast)(*this, result);
  return result;
}

Tensor Tensor::to(Device target) const {
  const Device source = device();
  if (target == source) return *this;
  Tensor result = empty(shape_, dtype_, target);
  if (bytes() == 0) return result;
  if (source == Device::cpu) {
    kernels(target).upload(target.index, result.raw(), raw(), bytes());
  } else if (target == Device::cpu) {
    kernels(source).download(source.index, result.raw(), raw(), bytes());
  } else {
    return to(Device::cpu).to(target);
  }
  return result;
}

Tensor Tensor::clone() const {
  Tensor result = empty(shape_, dtype_, device());
  if (bytes() > 0) kernels(device()).copy(device().index, result.raw(), raw(), bytes());
  return result;
}

double Tensor::item() const {
  check(defined() && numel_ == 1, "item: needs exactly one element, the tensor {} has {}", shape_,
        defined() ? numel_ : 0);
  return to_vector<double>()[0];
}

Tensor& Tensor::fill_(double value) {
  use("fill_", device(), kernels(device()).fill)(*this, value);
  bump_version();
  return *this;
}

Tensor& Tensor::copy_(const Tensor& source) {
  check(defined() && source.defined(), "copy_: an operand is undefined; give it a value first");
  check(shape_ == source.shape_, "copy_: shapes {} and {} differ; reshape one of them", shape_,
        source.shape_);
  const Tensor converted = source.to(dtype_).to(device());
  if (bytes() > 0 && !shares_memory(converted))
    kernels(device()).copy(device().index, raw(), converted.raw(), bytes());
  bump_version();
  return *this;
}

void Tensor::check_host(DType dtype) const {
  check(defined(), "data: the tensor is undefined; give it a value first");
  check(dtype == dtype_, "data: the tensor is {}, not {}; convert with to(DType)", dtype_, dtype);
  check(storage_->device() == Device::cpu,
        "data: the tensor is on device {}; copy it with to(Device::cpu)", storage_->device());
}

namespace {

template <class Get>
auto common(std::string_view operation, std::string_view what,
            std::initializer_list<const Tensor*> tensors, const Get& get) {
  const Tensor* first = nullptr;
  for (const Tensor* tensor : tensors) {
    if (!tensor->defined()) continue;
    if (first == nullptr) first = tensor;
    check(get(*tensor) == get(*first), "{}: operands have {}s {} and {}; convert one with to()",
          operation, what, get(*first), get(*tensor));
  }
  check(first != nullptr, "{}: the operand is undefined; give it a value first", operation);
  return get(*first);
}

}  // namespace

Device common_device(std::string_view operation, std::initializer_list<const Tensor*> tensors) {
  return common(operation, "device", tensors, [](const Tensor& t) { return t.device(); });
}

DType common_dtype(std::string_view operation, std::initializer_list<const Tensor*> tensors) {
  return common(operation, "dtype", tensors, [](const Tensor& t) { return t.dtype(); });
}

}  // namespace ebb

// A copy between the host and a device that goes on while the host works.
#pragma once

#include <ebb/tensor/tensor.h>

namespace ebb {

class AsyncCopy {
 public:
  // Begins to copy `x`, which may be changed at once, to `to`. One of the two is Device::cpu.
  AsyncCopy(const Tensor& x, Device to);
  // Waits.
  ~AsyncCopy();
  AsyncCopy(AsyncCopy&& other) noexcept;
  AsyncCopy& operator=(AsyncCopy&& other) noexcept;

  // The copy, whose elements are there after wait().
  const Tensor& result() const { return result_; }
  // To the host: returns when it is done. To a device: kernels that are called from now on come
  // after it. Keep it until they have been called.
  void wait();

 private:
  Device device_;  // the one that is not the host
  Tensor staged_;  // in pinned memory; undefined where the copy was made at once
  Tensor result_;
  void* event_ = nullptr;
};

}  // namespace ebb

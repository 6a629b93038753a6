#include <ebb/tensor/backend/async_copy.h>
#include <ebb/tensor/backend/backend.h>

#include <utility>

namespace ebb {

AsyncCopy::AsyncCopy(const Tensor& x, Device to)
    : device_(to == Device::cpu ? x.device() : to), result_(x) {
  check((x.device() == Device::cpu) != (to == Device::cpu),
        "async copy: from {} to {}; one of them must be cpu", x.device(), to);
  const Kernels& table = kernels(device_);
  if (table.start_upload == nullptr || x.bytes() == 0) {
    result_ = x.to(to);
  } else if (to == Device::cpu) {
    result_ = staged_ = Tensor::empty_pinned(x.shape(), x.dtype(), device_);
    event_ = table.start_download(device_.index, staged_.raw(), x.raw(), x.bytes());
  } else {
    staged_ = Tensor::empty_pinned(x.shape(), x.dtype(), device_);
    kernels(Device::cpu).copy(0, staged_.raw(), x.raw(), x.bytes());
    result_ = Tensor::empty(x.shape(), x.dtype(), to);
    event_ = table.start_upload(device_.index, result_.raw(), staged_.raw(), x.bytes());
  }
}

AsyncCopy::AsyncCopy(AsyncCopy&& other) noexcept
    : device_(other.device_),
      staged_(std::move(other.staged_)),
      result_(std::move(other.result_)),
      event_(std::exchange(other.event_, nullptr)) {}

AsyncCopy& AsyncCopy::operator=(AsyncCopy&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(staged_, other.staged_);
  std::swap(result_, other.result_);
  std::swap(event_, other.event_);
  return *this;
}

AsyncCopy::~AsyncCopy() {
  if (event_ == nullptr) return;
  try {
    kernels(device_).finish(device_.index, event_);
  } catch (const Error&) {
    // A device that failed tells it at every call: the next one may throw.
  }
}

void AsyncCopy::wait() {
  if (event_ == nullptr) return;
  if (result_.device() == Device::cpu)
    kernels(device_).finish(device_.index, std::exchange(event_, nullptr));
  else
    kernels(device_).follow(device_.index, event_);
}

}  // namespace ebb

// The table of kernels of a device. The functions of tensor/ check shapes, allocate and dispatch
// through it, and nobody else does. A kernel gets tensors on its own device, of matching dtypes
// and checked shapes, and writes `out`, which is allocated and overlaps no input. An entry that a
// device lacks is null: use() then throws an Error that names the operation and the device.
#pragma once

#include <ebb/tensor/backend/geometry.h>
#include <ebb/tensor/float_state.h>
#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/norm.h>
#include <ebb/tensor/ops/optimizer_steps.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/pool.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/random/random.h>
#include <ebb/tensor/tensor.h>

namespace ebb {

struct Kernels {
  int devices = 1;  // of this kind, which `index` below counts

  // Before and after every call of an entry by use(), to make the device current; null where
  // nothing is to be done.
  void (*enter)(int index) = nullptr;
  void (*leave)(int index) = nullptr;

  // Memory. `upload` and `download` copy from and to the host, `copy` within the device; all three
  // come after the kernels called before. They and allocate, release may be called outside use(),
  // by any thread, and so may the next six. Blocks are of multiples of Storage::alignment.
  void* (*allocate)(int index, std::size_t bytes) = nullptr;
  void (*release)(int index, void* memory, std::size_t bytes) = nullptr;
  void (*upload)(int index, void* device, const void* host, std::size_t bytes) = nullptr;
  void (*download)(int index, void* host, const void* device, std::size_t bytes) = nullptr;
  void (*copy)(int index, void* to, const void* from, std::size_t bytes) = nullptr;

  // Copies that do not wait (AsyncCopy); null, all of them, on a device that gains nothing by them.
  // `host` lies in pinned memory. A copy comes after the kernels called before, on a stream of its
  // own, and gives an event: `follow` makes the kernels called from now on come after the copy,
  // `finish` waits for it and ends the event.
  void* (*allocate_pinned)(int index, std::size_t bytes) = nullptr;
  void (*release_pinned)(int index, void* memory, std::size_t bytes) = nullptr;
  void* (*start_upload)(int index, void* device, const void* host, std::size_t bytes) = nullptr;
  void* (*start_download)(int index, void* host, const void* device, std::size_t bytes) = nullptr;
  void (*follow)(int index, void* event) = nullptr;
  void (*finish)(int index, void* event) = nullptr;

  // Pointwise.
  void (*fill)(Tensor& out, double value) = nullptr;
  void (*cast)(const Tensor& x, Tensor& out) = nullptr;
  // These five may write over an input of out's shape.
  void (*unary)(Unary function, const Tensor& x, double a, double b, Tensor& out) = nullptr;
  void (*unary_backward)(Unary function, const Tensor& grad, const Tensor& x, const Tensor& y,
                         double a, double b, Tensor& out) = nullptr;
  void (*binary)(Binary function, const Operand& a, const Operand& b, Tensor& out) = nullptr;
  void (*where)(const Tensor& condition, const Operand& a, const Operand& b, Tensor& out) = nullptr;
  void (*axpby)(double a, const Tensor& x, double b, const Tensor& y, Tensor& out) = nullptr;

  // Along one dimension.
  void (*reduce)(Reduction reduction, const Tensor& x, const AxisView& along,
                 Tensor& out) = nullptr;
  void (*argmax)(const Tensor& x, const AxisView& along, Tensor& out) = nullptr;
  void (*scan)(Scan scan, const Tensor& x, const AxisView& along, Tensor& out) = nullptr;
  void (*cumprod_backward)(const Tensor& grad, const Tensor& x, const Tensor& y,
                           const AxisView& along, Tensor& out) = nullptr;
  void (*softmax)(bool logarithm, const Tensor& x, const AxisView& along, Tensor& out) = nullptr;
  void (*softmax_backward)(bool logarithm, const Tensor& grad, const Tensor& y,
                           const AxisView& along, Tensor& out) = nullptr;
  // Of neighbouring elements (inner 1): their values in order, and int64 places.
  void (*sort)(const Tensor& x, const AxisView& along, Tensor& out) = nullptr;
  void (*argsort)(const Tensor& x, const AxisView& along, Tensor& out) = nullptr;

  // An Error that names `operation` where an element of `index` is outside [0, n). A device that
  // works behind the host's back may throw at its next download instead.
  void (*check_index)(std::string_view operation, const Tensor& index, std::int64_t n) = nullptr;

  // Layout. copy_view: element i of `walk` goes from one place to the other.
  void (*copy_view)(const Tensor& x, const View& from, Tensor& out, const View& to,
                    const Shape& walk) = nullptr;
  // x (outer, n, inner), out (outer, k, inner), index addressed by `at` over out's sizes, its
  // values in [0, n): out[o, j, i] = x[o, index[o, j, i], i]. The adjoint adds into x.
  void (*gather)(const Tensor& x, const AxisView& along, const Tensor& index, const View& at,
                 Tensor& out) = nullptr;
  void (*scatter_add)(const Tensor& grad, const AxisView& along, const Tensor& index,
                      const View& at, Tensor& x) = nullptr;

  // Products of matrices. bmm: a and b of rank 3.
  void (*bmm)(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b, Tensor& out) = nullptr;
  void (*linear)(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& out) = nullptr;
  // a (n, n) float64, symmetric, of which the lower triangle is read: row j becomes the eigenvector
  // of values[j].
  void (*symmetric_eigen)(Tensor& a, Tensor& values) = nullptr;
  // largest and totals (items, heads, queries). A gradient lies in its tensor as its operand does;
  // the three tensors may be one.
  void (*attention)(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
                    Attended& out) = nullptr;
  void (*attention_backward)(const Heads& heads, const Tensor& grad, const Tensor& q,
                             const Tensor& k, const Tensor& v, const Attended& value,
                             AttentionGradients& out) = nullptr;

  // Normalisation (tensor/ops/norm.h). weight and bias may be undefined; then so are their
  // gradients. They have groups.channels elements, or as many for each sample. out.x may be grad.
  void (*group_norm)(const Tensor& x, const Groups& groups, const Tensor& weight,
                     const Tensor& bias, double eps, bool silu, Normalized& out) = nullptr;
  void (*group_norm_backward)(const Tensor& grad, const Tensor& x, const Groups& groups,
                              const Tensor& weight, const Tensor& bias, const Tensor& mean,
                              const Tensor& rstd, bool silu, NormGradients& out) = nullptr;

  // Pooling and resizing (tensor/ops/pool.h).
  void (*max_pool2d)(const Tensor& x, const Pool2dOptions& options, Tensor& out) = nullptr;
  void (*max_pool2d_backward)(const Tensor& grad, const Tensor& x, const Pool2dOptions& options,
                              Tensor& dx) = nullptr;  // dx starts as zeros
  void (*resample)(const Tensor& x, const ResizeWeights& rows, const ResizeWeights& columns,
                   Tensor& out) = nullptr;

  // Convolutions: y from x; dx from dy, plus bias and activation (as a transposed convolution has
  // them); dw, and db where it is defined.
  void (*conv2d)(const Tensor& x, const Tensor& weight, const Tensor& bias,
                 const Conv2dOptions& options, Activation activation, Tensor& y) = nullptr;
  void (*conv2d_backward_data)(const Tensor& dy, const Tensor& weight, const Tensor& bias,
                               const Conv2dOptions& options, Activation activation,
                               Tensor& dx) = nullptr;
  void (*conv2d_backward_weights)(const Tensor& dy, const Tensor& x, const Conv2dOptions& options,
                                  Tensor& dw, Tensor& db) = nullptr;
  void (*sum_pixels)(const Tensor& dy, Tensor& db) = nullptr;  // over all but the last dimension
  // The same past a relu with output y, in dy itself.
  void (*relu_sum_pixels)(const Tensor& y, Tensor& dy, Tensor& db) = nullptr;

  // Random numbers (tensor/random/random.h); the same bits on every device. box_muller turns
  // uniform numbers into normal ones in place, in blocks of 16 from the first on.
  void (*philox_uniform)(const PhiloxAddress& address, Tensor& out) = nullptr;
  void (*philox_normal)(const PhiloxAddress& address, Tensor& out) = nullptr;
  void (*philox_integers)(std::int64_t low, std::uint64_t range, const PhiloxAddress& address,
                          Tensor& out) = nullptr;
  void (*box_muller)(Tensor& x) = nullptr;

  // Optimizers: one pass over all slots.
  void (*adam_step)(std::vector<AdamSlot>& slots, const AdamRule& rule) = nullptr;
  void (*sgd_step)(std::vector<SgdSlot>& slots, const SgdRule& rule) = nullptr;
  void (*sum_of_squares)(const std::vector<Tensor>& tensors, Tensor& out) = nullptr;
};

// The table of `device`; an Error says how to get it where it is not linked in, and how many there
// are where it has too high an index.
const Kernels& kernels(Device device);

// While one lives, kernels of `device` may run.
class KernelScope {
 public:
  explicit KernelScope(Device device) : table_(kernels(device)), index_(device.index) {
    if (table_.enter != nullptr) table_.enter(index_);
  }
  ~KernelScope() {
    if (table_.leave != nullptr) table_.leave(index_);
  }
  KernelScope(const KernelScope&) = delete;
  KernelScope& operator=(const KernelScope&) = delete;

 private:
  const Kernels& table_;
  const int index_;
};

// A call of `entry` in kernels' floating-point mode; an Error where the device lacks it.
//   use("softmax", device, kernels(device).softmax)(x, y);
template <class Result, class... Parameters>
auto use(std::string_view operation, Device device, Result (*entry)(Parameters...)) {
  check(entry != nullptr, "{}: device {} has no kernel for it; move the operands to cpu", operation,
        device);
  return [entry, device](Parameters... parameters) -> Result {
    const FloatState state;
    const KernelScope scope(device);
    return entry(static_cast<Parameters>(parameters)...);
  };
}

// The elements of a tensor, for its device's kernels.
template <class T>
const T* input(const Tensor& x) {
  return static_cast<const T*>(x.raw());
}
template <class T>
T* output(Tensor& x) {
  return static_cast<T*>(x.raw());
}

namespace cpu {
const Kernels& kernels();
}
namespace reference {
const Kernels& kernels();
}
namespace test_device {
const Kernels& kernels();

// Copies between its memory and the host's so far.
struct Copies {
  std::int64_t uploads = 0, downloads = 0;
};
Copies copies();
}  // namespace test_device
namespace cuda {
bool present();
std::vector<std::string> describe();  // a line a device: "cuda:0 NAME, 80 GiB, sm_90"
const Kernels& kernels();
}  // namespace cuda

}  // namespace ebb

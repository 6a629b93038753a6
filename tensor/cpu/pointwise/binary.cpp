// Functions of two and three tensors, with broadcasting: plain loops, compiled for every
// instruction set.
#include <ebb/tensor/cpu/runtime/simd.h>
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ebb/tensor/cpu/pointwise/binary.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// Highway's headers in this order.
#include <ebb/tensor/cpu/common/strided_iterator.h>
#include <ebb/tensor/cpu/runtime/parallel.h>
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/scalar_math.h>

HWY_BEFORE_NAMESPACE();
namespace ebb::cpu {
namespace HWY_NAMESPACE {
namespace {  // other files have functions of the same names

#define EBB_FUNCTION(name, value_of, ...) \
  struct name##_function {                \
    template <class T>                    \
    static T value(T a, T b) {            \
      return static_cast<T>(value_of);    \
    }                                     \
  };
EBB_BINARY_LIST(EBB_FUNCTION)
EBB_COMPARISON_LIST(EBB_FUNCTION)
#undef EBB_FUNCTION

using Walk2 = StridedIterator<2>;

// The steps that broadcasting leaves (0, 1) are spelt out, so that each loop is a plain one.
template <class Function, class T>
void binary_piece(const Walk2& walk, const Walk2::Piece& piece, const void* a, const void* b,
                  void* out) {
  const T* as = static_cast<const T*>(a) + piece.offset[0];
  const T* bs = static_cast<const T*>(b) + piece.offset[1];
  T* to = static_cast<T*>(out) + piece.position;
  const std::int64_t columns = piece.columns;
  for (std::int64_t r = 0; r < piece.rows; ++r) {
    if (walk.step(0) == 0) {
      const T same = *as;
      for (std::int64_t i = 0; i < columns; ++i) to[i] = Function::value(same, bs[i]);
    } else if (walk.step(1) == 0) {
      const T same = *bs;
      for (std::int64_t i = 0; i < columns; ++i) to[i] = Function::value(as[i], same);
    } else {
      for (std::int64_t i = 0; i < columns; ++i) to[i] = Function::value(as[i], bs[i]);
    }
    as += walk.row_step(0);
    bs += walk.row_step(1);
    to += columns;
  }
}

using BinaryPiece = decltype(&binary_piece<add_function, float>);

BinaryPiece find_binary(Binary function, DType dtype) {
  return dispatch_all(dtype, [&](auto zero) -> BinaryPiece {
    using T = decltype(zero);
    switch (function) {
#define EBB_CASE(name, ...)                                                    \
  case Binary::name:                                                           \
    if constexpr (std::is_floating_point_v<T> || takes_integers(Binary::name)) \
      return binary_piece<name##_function, T>;                                 \
    break;
      EBB_BINARY_LIST(EBB_CASE)
      EBB_COMPARISON_LIST(EBB_CASE)
#undef EBB_CASE
    }
    return nullptr;
  });
}

using Walk3 = StridedIterator<3>;

template <class T>
void where_piece(const Walk3& walk, const Walk3::Piece& piece, const void* condition, const void* a,
                 const void* b, void* out) {
  const T* cs = static_cast<const T*>(condition) + piece.offset[0];
  const T* as = static_cast<const T*>(a) + piece.offset[1];
  const T* bs = static_cast<const T*>(b) + piece.offset[2];
  T* to = static_cast<T*>(out) + piece.position;
  const std::int64_t c_step = walk.step(0), a_step = walk.step(1), b_step = walk.step(2);
  for (std::int64_t r = 0; r < piece.rows; ++r, to += piece.columns) {
    if (c_step == 1 && a_step == 1 && b_step == 1) {
      for (std::int64_t i = 0; i < piece.columns; ++i) {
        const T x = as[i], y = bs[i];
        to[i] = cs[i] != T(0) ? x : y;
      }
    } else {
      for (std::int64_t i = 0; i < piece.columns; ++i)
        to[i] = cs[i * c_step] != T(0) ? as[i * a_step] : bs[i * b_step];
    }
    cs += walk.row_step(0);
    as += walk.row_step(1);
    bs += walk.row_step(2);
  }
}

using WherePiece = decltype(&where_piece<float>);
WherePiece find_where(DType dtype) {
  return dispatch_all(dtype, [](auto zero) { return where_piece<decltype(zero)>; });
}

template <class T>
void axpby_run(double a, const void* x, double b, const void* y, void* out, std::int64_t begin,
               std::int64_t end) {
  const T *xs = static_cast<const T*>(x), *ys = static_cast<const T*>(y);
  T* to = static_cast<T*>(out);
  const T p = static_cast<T>(a), q = static_cast<T>(b);
  for (std::int64_t i = begin; i < end; ++i) to[i] = p * xs[i] + q * ys[i];
}

using AxpbyRun = decltype(&axpby_run<float>);
AxpbyRun find_axpby(DType dtype) {
  return dispatch_floating("axpby", dtype, [](auto zero) { return axpby_run<decltype(zero)>; });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ebb::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ebb::cpu {

namespace {

HWY_EXPORT(find_binary);
HWY_EXPORT(find_where);
HWY_EXPORT(find_axpby);

constexpr std::int64_t grain = 1 << 15;

void binary(Binary function, const Operand& first, const Operand& second, Tensor& out) {
  const auto piece = EBB_DISPATCH(find_binary)(function, out.dtype());
  const OperandElements a(first, out), b(second, out);
  const StridedIterator<2> walk(out.shape(), {a.view.strides, b.view.strides});
  parallel_for(out.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
    walk.run(begin, end, [&](const auto& part) { piece(walk, part, a.data, b.data, out.raw()); });
  });
}

void where(const Tensor& condition, const Operand& first, const Operand& second, Tensor& out) {
  const OperandElements c(condition, out), a(first, out), b(second, out);
  const StridedIterator<3> walk(out.shape(), {c.view.strides, a.view.strides, b.view.strides});
  const auto piece = EBB_DISPATCH(find_where)(out.dtype());
  parallel_for(out.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
    walk.run(begin, end,
             [&](const auto& part) { piece(walk, part, c.data, a.data, b.data, out.raw()); });
  });
}

void axpby(double a, const Tensor& x, double b, const Tensor& y, Tensor& out) {
  const auto run = EBB_DISPATCH(find_axpby)(out.dtype());
  parallel_for(out.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
    run(a, x.raw(), b, y.raw(), out.raw(), begin, end);
  });
}

}  // namespace

void add_binary_kernels(Kernels& table) {
  table.binary = binary;
  table.where = where;
  table.axpby = axpby;
}

}  // namespace ebb::cpu
#endif  // HWY_ONCE

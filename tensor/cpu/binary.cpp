// Functions of two and three tensors, with broadcasting.
#include <ebb/tensor/cpu/table.h>
#include <ebb/tensor/cpu/threads.h>
#include <ebb/tensor/cpu/walk.h>

namespace ebb::cpu {

namespace {

constexpr std::int64_t grain = 1 << 15;

// Integers wrap around, which unsigned arithmetic defines.
template <class T>
using Wrapping = std::conditional_t<std::is_integral_v<T>, std::uint64_t, T>;

struct Add {
  template <class T>
  static T of(T a, T b) {
    return static_cast<T>(Wrapping<T>(a) + Wrapping<T>(b));
  }
};
struct Sub {
  template <class T>
  static T of(T a, T b) {
    return static_cast<T>(Wrapping<T>(a) - Wrapping<T>(b));
  }
};
struct Mul {
  template <class T>
  static T of(T a, T b) {
    return static_cast<T>(Wrapping<T>(a) * Wrapping<T>(b));
  }
};
struct Div {
  template <class T>
  static T of(T a, T b) {
    return a / b;
  }
};
// A NaN on either side wins.
struct Maximum {
  template <class T>
  static T of(T a, T b) {
    return a > b || a != a ? a : b;
  }
};
struct Minimum {
  template <class T>
  static T of(T a, T b) {
    return a < b || a != a ? a : b;
  }
};
struct Less {
  template <class T>
  static T of(T a, T b) {
    return a < b ? T(1) : T(0);
  }
};
struct Equal {
  template <class T>
  static T of(T a, T b) {
    return a == b ? T(1) : T(0);
  }
};

// The steps that broadcasting makes common are spelt out, so that each loop is a plain one.
template <class Function, class T>
void segment(const T* a, std::int64_t step_a, const T* b, std::int64_t step_b, T* out,
             std::int64_t count) {
  if (step_a == 1 && step_b == 1) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = Function::of(a[i], b[i]);
  } else if (step_a == 1 && step_b == 0) {
    const T same = *b;
    for (std::int64_t i = 0; i < count; ++i) out[i] = Function::of(a[i], same);
  } else if (step_a == 0 && step_b == 1) {
    const T same = *a;
    for (std::int64_t i = 0; i < count; ++i) out[i] = Function::of(same, b[i]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) out[i] = Function::of(a[i * step_a], b[i * step_b]);
  }
}

template <class Function, class T>
void apply(const Tensor& a, const Tensor& b, Tensor& out) {
  const T *as = input<T>(a), *bs = input<T>(b);
  T* to = output<T>(out);
  const Walk<2> walk(out.shape(), {broadcast_strides(a.shape(), out.shape()),
                                   broadcast_strides(b.shape(), out.shape())});
  parallel_for(out.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
    walk.run(begin, end, [&](const auto& at, std::int64_t position, std::int64_t count) {
      segment<Function>(as + at[0], walk.step(0), bs + at[1], walk.step(1), to + position, count);
    });
  });
}

template <class Function>
void apply(const Tensor& a, const Tensor& b, Tensor& out) {
  dispatch_all(out.dtype(), [&](auto zero) { apply<Function, decltype(zero)>(a, b, out); });
}

void binary(Binary function, const Tensor& a, const Tensor& b, Tensor& out) {
  switch (function) {
    case Binary::add:
      return apply<Add>(a, b, out);
    case Binary::sub:
      return apply<Sub>(a, b, out);
    case Binary::mul:
      return apply<Mul>(a, b, out);
    case Binary::div:
      return dispatch_floating("div", out.dtype(),
                               [&](auto zero) { apply<Div, decltype(zero)>(a, b, out); });
    case Binary::maximum:
      return apply<Maximum>(a, b, out);
    case Binary::minimum:
      return apply<Minimum>(a, b, out);
    case Binary::less:
      return apply<Less>(a, b, out);
    case Binary::equal:
      return apply<Equal>(a, b, out);
  }
}

void where(const Tensor& condition, const Tensor& a, const Tensor& b, Tensor& out) {
  const Shape& shape = out.shape();
  const Walk<3> walk(
      shape, {broadcast_strides(condition.shape(), shape), broadcast_strides(a.shape(), shape),
              broadcast_strides(b.shape(), shape)});
  dispatch_all(out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *cs = input<T>(condition), *as = input<T>(a), *bs = input<T>(b);
    T* to = output<T>(out);
    parallel_for(out.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
      walk.run(begin, end, [&](const auto& at, std::int64_t position, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i)
          to[position + i] = cs[at[0] + i * walk.step(0)] != T(0) ? as[at[1] + i * walk.step(1)]
                                                                  : bs[at[2] + i * walk.step(2)];
      });
    });
  });
}

void axpby(double a, const Tensor& x, double b, const Tensor& y, Tensor& out) {
  dispatch_floating("axpby", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *xs = input<T>(x), *ys = input<T>(y);
    T* to = output<T>(out);
    const T p = static_cast<T>(a), q = static_cast<T>(b);
    parallel_for(out.numel(), grain, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = p * xs[i] + q * ys[i];
    });
  });
}

}  // namespace

void add_binary_kernels(Kernels& table) {
  table.binary = binary;
  table.where = where;
  table.axpby = axpby;
}

}  // namespace ebb::cpu

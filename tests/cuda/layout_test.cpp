// Copies and indices on a GPU: the CPU's bits.
#include <doctest/doctest.h>
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pool.h>

#include <cstring>
#include <functional>

#include "tests/check_message.h"
#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

const std::vector<DType> all_dtypes{DType::float32, DType::float64, DType::int64};

Tensor moved_numbers(const Shape& shape, DType dtype, double seed = 1) {
  return mul(numbers(shape, DType::float64, seed), 1000).to(dtype);
}

bool same_elements(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), a.numel() * size_of(a.dtype())) == 0;
}

// apply(x) on the GPU and on the CPU.
void check_moved(const Tensor& x, const std::function<Tensor(const Tensor&)>& apply) {
  CAPTURE(x.shape().str());
  const Tensor got = apply(x.to(Device::cuda));
  CHECK(got.device() == Device(Device::cuda));
  CHECK(same_elements(got.to(Device::cpu), apply(x)));
}

TEST_CASE("cuda: permutations of every rank") {
  const std::vector<std::int64_t> sizes{2, 3, 2, 1, 4, 3, 2, 5};
  for (const DType dtype : all_dtypes)
    for (std::size_t rank = 0; rank <= sizes.size(); ++rank) {
      const Shape shape(std::vector<std::int64_t>(sizes.begin(), sizes.begin() + rank));
      const Tensor x = moved_numbers(shape, dtype);
      Dims back, turned, same, odd_first;
      for (std::int64_t d = 0, n = shape.rank(); d < n; ++d) {
        same.push_back(d);
        back.push_back(n - 1 - d);
        turned.push_back((d + 1) % n);
        if (d % 2 == 1) odd_first.push_back(d);
      }
      for (std::int64_t d = 0; d < shape.rank(); d += 2) odd_first.push_back(d);
      for (const Dims& dims : {same, back, turned, odd_first})
        check_moved(x, [&](const Tensor& t) { return permute(t, dims); });
    }
}

TEST_CASE("cuda: transposes across the edges of tiles") {
  for (const DType dtype : all_dtypes) {
    for (const auto& [rows, columns] :
         {Pair{1, 1}, {7, 9}, {8, 8}, {32, 32}, {33, 65}, {100, 31}, {3, 200}, {0, 5}})
      check_moved(moved_numbers({rows, columns}, dtype),
                  [](const Tensor& t) { return transpose(t, 0, 1); });
    for (const Shape& shape :
         {Shape{2, 3, 5, 7}, {1, 40, 33, 3}, {3, 8, 9, 9}, {2, 16, 1, 12}, {0, 3, 4, 4}}) {
      check_moved(moved_numbers(shape, dtype), nchw_to_nhwc);
      check_moved(moved_numbers(shape, dtype), nhwc_to_nchw);
    }
    check_moved(moved_numbers({3, 9, 2, 10, 11}, dtype), [](const Tensor& t) {
      return permute(t, {4, 0, 2, 3, 1});
    });
    check_moved(moved_numbers({2, 6, 4, 12}, dtype),
                [](const Tensor& t) { return pixel_shuffle(pixel_unshuffle(t, 2), 2); });
  }
}

TEST_CASE("cuda: parts, repetitions and reversals") {
  const std::vector<std::function<Tensor(const Tensor&)>> moves{
      [](const Tensor& t) { return slice(t, 2, 4, 16); },  // 16 bytes at a time, 8, 4
      [](const Tensor& t) { return slice(t, 2, 2, 8); },
      [](const Tensor& t) { return slice(t, 2, 1, -2); },
      [](const Tensor& t) { return slice(t, 2, 1, 20, 3); },
      [](const Tensor& t) { return slice(t, 0, 1, 3); },
      [](const Tensor& t) { return slice(t, 1, 0, 5, 2); },
      [](const Tensor& t) { return slice(t, 1, 3, 3); },
      [](const Tensor& t) {
        return slice_backward(t, {4, 13, 20}, 1, 2, 12, 2);
      },
      [](const Tensor& t) { return select(t, 1, -2); },
      [](const Tensor& t) { return flip(t, {2}); },
      [](const Tensor& t) {
        return flip(t, {0, 1});
      },
      [](const Tensor& t) {
        return flip(t, {0, 1, 2});
      },
      [](const Tensor& t) {
        return cat({t, t, slice(t, 0, 0, 1)}, 0);
      },
      [](const Tensor& t) {
        return cat({t, slice(t, 1, 0, 0), slice(t, 1, 1, 4)}, 1);
      },
      [](const Tensor& t) {
        return cat({slice(t, 2, 0, 3), t}, 2);
      },
      [](const Tensor& t) {
        return stack({t, flip(t, {1})}, 3);
      },
      [](const Tensor& t) {
        return pad(t, {1, 2, -1, 3, 0, 1}, 7);
      },
      [](const Tensor& t) {
        return pad(t, {-3, -4});
      },
      [](const Tensor& t) {
        return broadcast_to(select(t, 1, 0).reshape({4, 1, 20}), {4, 6, 20});
      },
      [](const Tensor& t) {
        return broadcast_to(slice(t, 2, 0, 1), {2, 4, 5, 9});
      },
      [](const Tensor& t) { return repeat_interleave(t, 3, 1); },
      [](const Tensor& t) { return repeat_interleave(t, 2, 2); },
  };
  for (const DType dtype : all_dtypes)
    for (std::size_t i = 0; i < moves.size(); ++i) {
      CAPTURE(i);
      check_moved(moved_numbers({4, 5, 20}, dtype), moves[i]);
    }
}

TEST_CASE("cuda: a copy between any two views") {
  const Tensor x = moved_numbers({480}, DType::float32);
  const auto copied = [&](const View& from, const View& to, const Shape& walk) {
    const auto on = [&](Device device) {
      Tensor out = Tensor::full({481}, 3, DType::float32, device);
      use("copy_view", device, kernels(device).copy_view)(x.to(device), from, out, to, walk);
      return out.to(Device::cpu);
    };
    CHECK(same_elements(on(Device::cuda), on(Device::reference)));
  };
  copied({479, {-1, -12}}, {0, {40, 1}}, {12, 40});  // tiles backwards
  copied({0, {1, 12}}, {39, {40, -1}}, {12, 40});
  copied({0, {40, 1}}, {1, {40, 1}}, {12, 40});  // not aligned alike
  copied({1, {40, 1}}, {0, {40, 1}}, {11, 40});
  copied({0, {41, 1}}, {0, {40, 1}}, {11, 40});
  copied({0, {40, 1}}, {0, {41, 1}}, {11, 40});
  copied({0, {1, 2, 4, 8, 16, 32}}, {0, {32, 16, 8, 4, 2, 1}}, {2, 2, 2, 2, 2, 2});
  copied({0, {0, 1}}, {0, {20, 1}}, {24, 20});
  copied({5, {}}, {7, {}}, {});
}

// Index tensors of `shape` in [0, n), with repetitions.
Tensor places_below(std::int64_t n, const Shape& shape) {
  return philox_integers(shape, 0, n, {static_cast<std::uint64_t>(n)});
}

TEST_CASE("cuda: gather and its adjoint along each axis") {
  const Shape shape{5, 6, 8};
  for (const DType dtype : all_dtypes) {
    const Tensor x = moved_numbers(shape, dtype);
    for (std::int64_t dim = 0; dim < 3; ++dim)
      for (const std::int64_t k : {0, 1, 4, 40})
        for (const bool part : {false, true}) {
          CAPTURE(dim);
          CAPTURE(k);
          Shape sizes = part ? Shape{2, 3, 5} : shape;
          sizes.set(dim, k);
          const Tensor index = places_below(shape[dim], sizes);
          check_moved(x, [&](const Tensor& t) { return gather(t, dim, index.to(t.device())); });
          check_moved(moved_numbers(sizes, dtype, 9), [&](const Tensor& grad) {
            return gather_backward(grad, shape, dim, index.to(grad.device()));
          });
        }
  }
}

TEST_CASE("cuda: chosen rows and their adjoint, in order of addition") {
  for (const DType dtype : all_dtypes)
    for (const Shape& shape : {Shape{50}, {50, 3}, {7, 300}, {2, 9, 40}, {3, 5, 1}, {1, 4, 16}})
      for (const std::int64_t k : {0, 1, 31, 40, 530}) {
        const std::int64_t dim = shape.rank() == 3 ? 1 : 0;
        CAPTURE(k);
        for (const Tensor& index :
             {places_below(shape[dim], {k}), Tensor::full({k}, 3, DType::int64)}) {
          check_moved(moved_numbers(shape, dtype),
                      [&](const Tensor& t) { return index_select(t, dim, index.to(t.device())); });
          Shape chosen = shape;
          chosen.set(dim, k);
          check_moved(moved_numbers(chosen, dtype, 4), [&](const Tensor& grad) {
            return index_select_backward(grad, shape, dim, index.to(grad.device()));
          });
        }
      }
}

TEST_CASE("cuda: scatter_add adds to what is there") {
  const Tensor index = places_below(20, {100}), grad = moved_numbers({100, 6}, DType::float32, 2);
  const auto added = [&](Device device) {
    Tensor x = moved_numbers({20, 6}, DType::float32).to(device);
    use("scatter_add", device, kernels(device).scatter_add)(grad.to(device), {1, 20, 6},
                                                            index.to(device), {0, {0, 1, 0}}, x);
    return x.to(Device::cpu);
  };
  CHECK(same_elements(added(Device::cuda), added(Device::reference)));
}

TEST_CASE("cuda: the first bad index is told at the next download, and then no more") {
  const Tensor x = moved_numbers({10, 4}, DType::float32).to(Device::cuda);
  std::vector<std::int64_t> places(3000, 1);
  for (const std::size_t bad : {std::size_t{0}, std::size_t{5}, std::size_t{1700}}) {
    for (std::size_t i = bad; i < places.size(); i += 7) places[i] = 10 + static_cast<int>(i % 100);
    places[bad] = bad == 5 ? -3 : 10;
    const Tensor index = Tensor::from(places, {3000}).to(Device::cuda);
    const std::string want = fmt::format(
        "index_select: index {} is out of range; it must be in "
        "[0, 10)",
        places[bad]);
    const Tensor chosen = index_select(x, 0, index);
    test::check_message([&] { chosen.to(Device::cpu); }, want);
    // The first call's error stays, whatever comes before the download.
    const Tensor second =
        index_select_backward(Tensor::zeros({3000, 4}).to(Device::cuda), {2, 4}, 0, index);
    const Tensor third = index_select(x, 0, index);
    test::check_message(
        [&] { third.to(Device::cpu); },
        fmt::format("index_select_backward: index {} is out of range; it must be in "
                    "[0, 2)",
                    places[bad]));
    const Tensor good = Tensor::from<std::int64_t>({9, 0}, {2}).to(Device::cuda);
    CHECK(same_elements(index_select(x, 0, good).to(Device::cpu),
                        index_select(x.to(Device::cpu), 0, good.to(Device::cpu))));
    std::fill(places.begin(), places.end(), 1);
  }
  const Tensor labels = Tensor::from<std::int64_t>({2, 3, 4}, {3}).to(Device::cuda);
  test::check_message([&] { one_hot(labels, 4).to(Device::cpu); },
                      "one_hot: index 4 is out of range; it must be in [0, 4)");
  test::check_message(
      [&] { gather_backward(Tensor::zeros({3}).to(Device::cuda), {4}, 0, labels).to(Device::cpu); },
      "gather_backward: index 4 is out of range; it must be in [0, 4)");
  CHECK(values(one_hot(labels, 5).to(Device::cpu)) == values(one_hot(labels.to(Device::cpu), 5)));
}

}  // namespace
}  // namespace ebb

// CUDA's products of small matrices by a warp, nvcuda::wmma, for operands of bfloat16 and tf32.
// Each lane holds its share of a matrix: of its elements in row-major order every 32nd, from the
// lane's number on.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace emulation {

// Waits for all lanes of the warp, which must come with the same matrix; the hardware wants
// it aligned to 32 bytes and its rows (or columns) to 16.
void meet_at_matrix(const void* matrix, std::size_t stride_bytes);
// d = c + a b of shares of matrices (m, k), (k, n) and (m, n).
void multiply_shares(int m, int n, int k, const float* a, const float* b, const float* c, float* d);

}  // namespace emulation

namespace nvcuda::wmma {

struct matrix_a;
struct matrix_b;
struct accumulator;
struct row_major;
struct col_major;
enum layout_t { mem_row_major, mem_col_major };

namespace precision {
struct tf32;  // in memory a float, of which a product reads the upper 19 bits
}
// To the nearest, of two equally near ones to the larger one.
inline float __float_to_tf32(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7f800000) == 0x7f800000) return x;
  return std::bit_cast<float>((bits + 0x1000) & 0xffffe000);
}

template <class Use, int m, int n, int k, class T, class Layout = void>
struct fragment {
  using element_type = T;
  using storage_element_type = std::conditional_t<std::is_same_v<T, precision::tf32>, float, T>;
  static constexpr int rows = std::is_same_v<Use, matrix_b> ? k : m;
  static constexpr int columns = std::is_same_v<Use, matrix_a> ? k : n;
  static constexpr int num_elements = rows * columns / 32;
  storage_element_type x[num_elements];
};

template <class Fragment>
void fill_fragment(Fragment& f, typename Fragment::storage_element_type value) {
  for (auto& x : f.x) x = value;
}

template <class Use, int m, int n, int k, class T, class Layout>
void load_matrix_sync(fragment<Use, m, n, k, T, Layout>& f,
                      const typename fragment<Use, m, n, k, T, Layout>::storage_element_type* from,
                      unsigned stride) {
  emulation::meet_at_matrix(from, stride * sizeof *from);
  for (int i = 0; i < f.num_elements; ++i) {
    const unsigned e = emulation::lane() + 32u * static_cast<unsigned>(i), columns = f.columns;
    f.x[i] = from[std::is_same_v<Layout, row_major> ? e / columns * stride + e % columns
                                                    : e % columns * stride + e / columns];
  }
}

template <int m, int n, int k>
void store_matrix_sync(float* to, const fragment<accumulator, m, n, k, float>& f, unsigned stride,
                       layout_t layout) {
  emulation::meet_at_matrix(to, stride * sizeof *to);
  for (int i = 0; i < f.num_elements; ++i) {
    const unsigned e = emulation::lane() + 32u * static_cast<unsigned>(i), columns = f.columns;
    to[layout == mem_row_major ? e / columns * stride + e % columns
                               : e % columns * stride + e / columns] = f.x[i];
  }
}

template <int m, int n, int k, class T, class A, class B>
void mma_sync(fragment<accumulator, m, n, k, float>& d, const fragment<matrix_a, m, n, k, T, A>& a,
              const fragment<matrix_b, m, n, k, T, B>& b,
              const fragment<accumulator, m, n, k, float>& c) {
  const auto read = [](const auto& share, float* values) {
    for (int i = 0; i < share.num_elements; ++i)
      if constexpr (std::is_same_v<T, precision::tf32>)
        values[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(share.x[i]) & 0xffffe000);
      else
        values[i] = __bfloat162float(share.x[i]);
  };
  float left[a.num_elements], right[b.num_elements];
  read(a, left);
  read(b, right);
  emulation::multiply_shares(m, n, k, left, right, c.x, d.x);
}

}  // namespace nvcuda::wmma

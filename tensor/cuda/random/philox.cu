// Random numbers, as the CPU makes them (tensor/random). A block of Philox makes four words, that
// is four float32 or two float64 or int64; a thread draws whole blocks. Without fused multiply-adds
// (-fmad=false), which would give normal numbers other bits.
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/table.h>
#include <ebb/tensor/random/box_muller.h>
#include <ebb/tensor/random/philox_rows.h>

namespace ebb::cuda {

namespace {

template <class T>
constexpr int a_block = 16 / sizeof(T);

// The blocks of `rows` rows of `width` numbers.
struct PhiloxRows {
  PhiloxAddress address;
  std::int64_t rows, width;
};
PhiloxRows rows_of(const PhiloxAddress& address, const Tensor& out) {
  const std::int64_t width = philox_width(out.shape());
  return {address, out.numel() / width, width};
}
// Of a row, when one thread draws `numbers`.
EBB_HOST_DEVICE std::int64_t threads_of_row(const PhiloxRows& rows, int numbers) {
  return (rows.width + numbers - 1) / numbers;
}

template <class T>
__global__ void uniform_kernel(PhiloxRows rows, T* out) {
  const std::int64_t across = threads_of_row(rows, a_block<T>);
  for (std::int64_t i = thread_index(); i < rows.rows * across; i += thread_count()) {
    const std::int64_t row = i / across, block = i % across;
    const PhiloxCounter words = PhiloxRow(rows.address, row).block(block);
    T* const to = out + row * rows.width;
    for (int k = 0; k < a_block<T>; ++k)
      if (const std::int64_t j = block * a_block<T> + k; j < rows.width)
        to[j] = uniform_number<T>(words, k);
  }
}

__global__ void integers_kernel(PhiloxRows rows, std::int64_t low, std::uint64_t range,
                                std::int64_t* out) {
  const std::int64_t across = threads_of_row(rows, 2);
  for (std::int64_t i = thread_index(); i < rows.rows * across; i += thread_count()) {
    const std::int64_t row = i / across, block = i % across;
    const PhiloxCounter words = PhiloxRow(rows.address, row).block(block);
    std::int64_t* const to = out + row * rows.width;
    for (int k = 0; k < 2; ++k)
      if (const std::int64_t j = block * 2 + k; j < rows.width)
        to[j] = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) +
                                          bounded(PhiloxRow::pair(words, k), range));
  }
}

// Box-Muller's pairs are the elements j and j + 8 of each 16 of a row: a thread draws the block of
// the one and the block of the other. Rows end as if they went on to the next multiple of 16.
template <class T>
__global__ void normal_kernel(PhiloxRows rows, T* out) {
  constexpr int blocks = 8 / a_block<T>;  // of the first elements of 8 pairs
  const std::int64_t across = threads_of_row(rows, 16) * blocks;
  for (std::int64_t i = thread_index(); i < rows.rows * across; i += thread_count()) {
    const std::int64_t row = i / across, sixteen = i % across / blocks;
    const std::int64_t block = sixteen * 2 * blocks + i % blocks;
    const PhiloxRow source(rows.address, row);
    const PhiloxCounter first = source.block(block), second = source.block(block + blocks);
    T* const to = out + row * rows.width;
    for (int k = 0; k < a_block<T>; ++k) {
      const NormalPair<T> pair =
          normal_pair(uniform_number<T>(first, k), uniform_number<T>(second, k));
      const std::int64_t j = block * a_block<T> + k;
      if (j < rows.width) to[j] = pair.first;
      if (j + 8 < rows.width) to[j + 8] = pair.second;
    }
  }
}

template <class T>
__global__ void box_muller_kernel(std::int64_t pairs, T* x) {
  for (std::int64_t i = thread_index(); i < pairs; i += thread_count()) {
    T* const d = x + i / 8 * 16 + i % 8;
    const NormalPair<T> pair = normal_pair(d[0], d[8]);
    d[0] = pair.first;
    d[8] = pair.second;
  }
}

void philox_uniform(const PhiloxAddress& address, Tensor& out) {
  const PhiloxRows rows = rows_of(address, out);
  dispatch_floating("philox_uniform", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("philox_uniform", uniform_kernel<T>,
           blocks_for(rows.rows * threads_of_row(rows, a_block<T>)), block_threads, 0, rows,
           output<T>(out));
  });
}

void philox_normal(const PhiloxAddress& address, Tensor& out) {
  const PhiloxRows rows = rows_of(address, out);
  dispatch_floating("philox_normal", out.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch("philox_normal", normal_kernel<T>,
           blocks_for(rows.rows * threads_of_row(rows, 16) * 8 / a_block<T>), block_threads, 0,
           rows, output<T>(out));
  });
}

void philox_integers(std::int64_t low, std::uint64_t range, const PhiloxAddress& address,
                     Tensor& out) {
  const PhiloxRows rows = rows_of(address, out);
  launch("philox_integers", integers_kernel, blocks_for(rows.rows * threads_of_row(rows, 2)),
         block_threads, 0, rows, low, range, output<std::int64_t>(out));
}

void box_muller_in_place(Tensor& x) {
  dispatch_floating("box_muller", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t pairs = x.numel() / 16 * 8;
    launch("box_muller", box_muller_kernel<T>, blocks_for(pairs), block_threads, 0, pairs,
           output<T>(x));
  });
}

}  // namespace

void add_random_kernels(Kernels& table) {
  table.philox_uniform = philox_uniform;
  table.philox_normal = philox_normal;
  table.philox_integers = philox_integers;
  table.box_muller = box_muller_in_place;
}

}  // namespace ebb::cuda

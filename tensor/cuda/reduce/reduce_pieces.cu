// Fast: many threads a column. A team of `lanes` times `width` threads takes a piece of n for
// `width` neighbouring columns: threads beside each other read what lies beside each other, be it
// along n (inner 1), along inner, or both. Short columns have a warp of teams, long ones a team of
// a whole block; where they need several pieces, what is left of those is reduced again. All of
// this follows from n and inner alone, and so does the order of a sum.
#include <ebb/tensor/cuda/common/block_reduce.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/reduce/column.h>
#include <ebb/tensor/cuda/reduce/reduce_pieces.h>
#include <ebb/tensor/scalar_math.h>

#include <algorithm>
#include <bit>
#include <limits>

namespace ebb::cuda {

namespace {

constexpr int at_once = 8;             // elements that a thread loads together
constexpr int piece_of_a_thread = 32;  // elements
constexpr int warps_of_a_block = block_threads / 32;

// ---- What is joined: elements and parts From to parts or results To ----

// Eight float32 numbers are added pairwise as such, these sums in float64.
template <class F, class T>
struct Sum {
  using From = F;
  using To = T;
  using Run = detail::Wrapping<From>;
  using Value = Running<From>;

  static __device__ Run none() { return 0; }
  static __device__ Run load(From x, std::int64_t) { return static_cast<Run>(x); }
  static __device__ To result(Value value) { return static_cast<To>(value); }
  template <class V>
  __device__ V operator()(V a, V b) const {
    return a + b;
  }
};

// No element is smaller; none is larger.
template <class T>
__device__ T lowest() {
  if constexpr (std::is_integral_v<T>)
    return std::numeric_limits<T>::min();
  else
    return -std::numeric_limits<T>::infinity();
}
template <class T>
__device__ T highest() {
  if constexpr (std::is_integral_v<T>)
    return std::numeric_limits<T>::max();
  else
    return std::numeric_limits<T>::infinity();
}

template <bool largest, class T>
struct Extreme {
  using From = T;
  using To = T;
  using Run = T;
  using Value = T;

  static __device__ T none() { return largest ? lowest<T>() : highest<T>(); }
  static __device__ T load(T x, std::int64_t) { return x; }
  static __device__ T result(T value) { return value; }
  __device__ T operator()(T a, T b) const { return b != b || (largest ? b > a : b < a) ? b : a; }
};
template <class F, class T>
using Largest = Extreme<true, F>;
template <class F, class T>
using Smallest = Extreme<false, F>;

template <class T>
struct alignas(16) Found {  // moved as a whole
  T value;
  std::int64_t place;
};
template <class T>
__device__ Found<T> shuffle_xor(const Found<T>& found, int bit) {
  return {cuda::shuffle_xor(found.value, bit), cuda::shuffle_xor(found.place, bit)};
}

// The first of equals, and the first NaN before all numbers.
template <class T, class To_>
struct FirstLargest {
  using From = T;
  using To = To_;
  using Run = Found<T>;
  using Value = Found<T>;

  static __device__ Value none() { return {lowest<T>(), std::numeric_limits<std::int64_t>::max()}; }
  static __device__ Value load(T x, std::int64_t place) { return {x, place}; }
  static __device__ To result(const Value& value) {
    if constexpr (std::is_same_v<To, Value>)
      return value;
    else
      return value.place;
  }
  __device__ Value operator()(const Value& a, const Value& b) const {
    const bool a_is_nan = a.value != a.value, b_is_nan = b.value != b.value;
    const bool same = a.value == b.value || (a_is_nan && b_is_nan);
    const bool second = same ? b.place < a.place : !a_is_nan && (b_is_nan || b.value > a.value);
    return second ? b : a;
  }
};
template <class T, class To_>
struct FirstLargest<Found<T>, To_> : FirstLargest<T, To_> {
  using From = Found<T>;
  static __device__ From load(const From& x, std::int64_t) { return x; }
};

// ---- How the work is cut ----

struct Cut {
  int width, lanes;
  int piece;               // elements of n
  unsigned pieces, tiles;  // along n and along inner
  std::int64_t items;      // one for each team: outer x pieces x tiles
};

Cut cut_of(const AxisView& along) {
  Cut cut{};
  cut.width =
      static_cast<int>(std::bit_ceil(std::uint64_t(std::min<std::int64_t>(32, along.inner))));
  const int in_warp = 32 / cut.width;
  const auto wanted =
      static_cast<std::int64_t>(std::bit_ceil(std::uint64_t((along.n + at_once - 1) / at_once)));
  cut.lanes = along.n <= in_warp * piece_of_a_thread
                  ? static_cast<int>(std::min<std::int64_t>(wanted, in_warp))
                  : static_cast<int>(block_threads) / cut.width;
  cut.piece = cut.lanes * piece_of_a_thread;
  cut.pieces = static_cast<unsigned>((along.n + cut.piece - 1) / cut.piece);
  cut.tiles = static_cast<unsigned>((along.inner + cut.width - 1) / cut.width);
  cut.items = along.outer * cut.pieces * cut.tiles;
  return cut;
}

template <class Op>
__global__ void reduce_pieces(AxisView along, Cut cut, const typename Op::From* x,
                              typename Op::To* out) {
  using Value = typename Op::Value;
  using Run = typename Op::Run;
  const Op join{};
  const int team = cut.width * cut.lanes, thread = static_cast<int>(threadIdx.x);
  const int column = thread % cut.width, lane = thread % team / cut.width;
  const unsigned item = blockIdx.x * (blockDim.x / team) + thread / team;
  const unsigned tile = item % cut.tiles, piece = item / cut.tiles % cut.pieces;
  const std::int64_t o = item / cut.tiles / cut.pieces;
  const std::int64_t i = std::int64_t{tile} * cut.width + column;
  const bool mine = item < cut.items && i < along.inner;

  Value value = Value(Op::none());
  if (mine) {
    const std::int64_t begin = std::int64_t{piece} * cut.piece;
    const int count = along.n - begin < cut.piece ? int(along.n - begin) : cut.piece;
    const typename Op::From* source = x + (o * along.n + begin + lane) * along.inner + i;
    const std::int64_t step = cut.lanes * along.inner;
    for (int j = lane; j < count; j += at_once * cut.lanes) {
      Run run[at_once];
      for (int k = 0; k < at_once; ++k) {
        const int place = j + k * cut.lanes;
        run[k] = place < count ? Op::load(source[k * step], begin + place) : Op::none();
      }
      for (int half = at_once / 2; half > 0; half /= 2)
        for (int k = 0; k < half; ++k) run[k] = join(run[k], run[k + half]);
      value = join(value, Value(run[0]));
      source += at_once * step;
    }
  }

  value = warp_reduce(value, join, team < 32 ? team : 32, cut.width);
  if (team > 32) {
    __shared__ Value of_warps[warps_of_a_block][32];
    if (thread % 32 < cut.width) of_warps[thread / 32][column] = value;
    __syncthreads();
    if (thread < cut.width)
      for (int warp = 1; warp < warps_of_a_block; ++warp)
        value = join(value, of_warps[warp][column]);
  }
  if (mine && lane == 0) out[(o * cut.pieces + piece) * along.inner + i] = Op::result(value);
}

// Op<From, To> of all of x.
template <template <class, class> class Op, class From, class To>
void reduce_all(const char* name, const AxisView& along, const From* x, Device device, To* out) {
  const Cut cut = cut_of(along);
  const int teams = static_cast<int>(block_threads) / (cut.width * cut.lanes);
  const auto blocks = static_cast<unsigned>((cut.items + teams - 1) / teams);
  if (cut.pieces == 1) {
    launch(name, reduce_pieces<Op<From, To>>, blocks, block_threads, 0, along, cut, x, out);
    return;
  }
  using Part = typename Op<From, To>::Value;
  const AxisView left{along.outer, cut.pieces, along.inner};
  constexpr auto word = static_cast<std::int64_t>(sizeof(std::int64_t));
  const std::int64_t bytes = left.outer * left.n * left.inner * std::int64_t{sizeof(Part)};
  Tensor workspace = Tensor::empty({(bytes + word - 1) / word}, DType::int64, device);
  Part* parts = output<Part>(workspace);
  launch(name, reduce_pieces<Op<From, Part>>, blocks, block_threads, 0, along, cut, x, parts);
  reduce_all<Op>(name, left, static_cast<const Part*>(parts), device, out);
}

}  // namespace

bool worth_pieces(const AxisView& along) {
  return along.n > at_once && cut_of(along).items < std::int64_t{1} << 31;
}

void reduce_by_pieces(Reduction reduction, const Tensor& x, const AxisView& along, Tensor& out) {
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = input<T>(x);
    T* to = output<T>(out);
    switch (reduction) {
      case Reduction::sum:
        return reduce_all<Sum>("reduce", along, from, x.device(), to);
      case Reduction::amax:
        return reduce_all<Largest>("reduce", along, from, x.device(), to);
      case Reduction::amin:
        return reduce_all<Smallest>("reduce", along, from, x.device(), to);
    }
  });
}

void argmax_by_pieces(const Tensor& x, const AxisView& along, Tensor& out) {
  dispatch_all(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    reduce_all<FirstLargest>("argmax", along, input<T>(x), x.device(), output<std::int64_t>(out));
  });
}

}  // namespace ebb::cuda

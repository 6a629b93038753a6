#include <ebb/tensor/random/box_muller.h>

namespace ebb {
namespace {

constexpr int half = 8;  // pairs in a block

template <class T>
void in_blocks(T* data, std::int64_t count) {
  for (T* d = data; d < data + count; d += 2 * half) {
    T first[half], second[half];
    for (int j = 0; j < half; ++j) {
      const NormalPair<T> two = normal_pair(d[j], d[j + half]);
      first[j] = two.first;
      second[j] = two.second;
    }
    for (int j = 0; j < half; ++j) {
      d[j] = first[j];
      d[j + half] = second[j];
    }
  }
}

}  // namespace

void box_muller(float* data, std::int64_t count) { in_blocks(data, count); }
void box_muller(double* data, std::int64_t count) { in_blocks(data, count); }

}  // namespace ebb

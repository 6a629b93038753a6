// The part of CUDA that tensor/cuda uses, for a C++ compiler: the same .cu files that nvcc compiles
// for a GPU are compiled against this, with -fsanitize=thread, whose calls for every access to
// memory come to checks.cpp instead of that sanitizer. What the runtime's functions do and return
// is in NVIDIA's documentation of the functions of these names; here a kernel's sin against memory
// or barriers is a cudaErrorLaunchFailure whose cudaGetErrorString says what it did.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __shared__ thread_local  // a block runs on one thread of the host
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// ---- What a thread of a kernel sees (block.cpp) ----

namespace emulation {

uint3 thread_index();
uint3 block_index();
dim3 block_size();
dim3 grid_size();

// Waits for the lanes of `mask`; `result` is then what lane `source` came with.
void exchange(unsigned mask, const void* mine, std::size_t bytes, unsigned source, void* result);
unsigned lane();

template <class T>
T from_lane(unsigned mask, T value, unsigned source) {
  static_assert(std::is_trivially_copyable_v<T>);
  T result;
  exchange(mask, &value, sizeof value, source % 32, &result);
  return result;
}

// Of an atomic change: what is there; whether it still was `old` and now is `changed`.
template <class Word>
Word atomic_load(const Word* address);
template <class Word>
bool atomic_swap(Word* address, Word old, Word changed);

// Read, changed by `change` and written as one.
template <class T, class Change>
T atomic(T* address, const Change& change) {
  using Word = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  auto* const word = reinterpret_cast<Word*>(address);
  Word old;
  do old = atomic_load(word);
  while (!atomic_swap(word, old, std::bit_cast<Word>(T(change(std::bit_cast<T>(old))))));
  return std::bit_cast<T>(old);
}

}  // namespace emulation

#define threadIdx (::emulation::thread_index())
#define blockIdx (::emulation::block_index())
#define blockDim (::emulation::block_size())
#define gridDim (::emulation::grid_size())
constexpr int warpSize = 32;

void __syncthreads();
void __syncwarp(unsigned mask = 0xffffffffu);
int __syncthreads_or(int predicate);

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const unsigned lane = emulation::lane(), w = static_cast<unsigned>(width);
  return emulation::from_lane(mask, value, lane / w * w + static_cast<unsigned>(source) % w);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  const unsigned lane = emulation::lane(), source = lane ^ static_cast<unsigned>(lanes);
  const unsigned w = static_cast<unsigned>(width);
  return emulation::from_lane(mask, value, source / w == lane / w ? source : lane);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned lane = emulation::lane(), w = static_cast<unsigned>(width);
  return emulation::from_lane(mask, value, lane % w + delta < w ? lane + delta : lane);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const unsigned lane = emulation::lane(), w = static_cast<unsigned>(width);
  return emulation::from_lane(mask, value, lane % w >= delta ? lane - delta : lane);
}
unsigned __ballot_sync(unsigned mask, int predicate);
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

template <class T>
T atomicAdd(T* address, T value) {
  return emulation::atomic(address, [=](T old) { return old + value; });
}
template <class T>
T atomicMax(T* address, T value) {
  return emulation::atomic(address, [=](T old) { return old < value ? value : old; });
}
template <class T>
T atomicMin(T* address, T value) {
  return emulation::atomic(address, [=](T old) { return value < old ? value : old; });
}
template <class T>
T atomicExch(T* address, T value) {
  return emulation::atomic(address, [=](T) { return value; });
}
template <class T>
T atomicCAS(T* address, T expected, T value) {
  return emulation::atomic(address, [=](T old) { return old == expected ? value : old; });
}
void __threadfence();

template <class T>
T __ldg(const T* address) {
  return *address;
}
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }

// ---- What the host calls (memory.cpp, streams.cpp) ----

enum cudaError_t : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
};
const char* cudaGetErrorString(cudaError_t error);
const char* cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();

enum cudaDeviceAttr : int {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
};
struct cudaDeviceProp {
  char name[256];
  std::size_t totalGlobalMem;
  int major, minor, multiProcessorCount;
};
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total);
cudaError_t cudaDeviceSynchronize();

cudaError_t cudaMalloc(void** memory, std::size_t bytes);
cudaError_t cudaFree(void* memory);
cudaError_t cudaMallocHost(void** memory, std::size_t bytes);
cudaError_t cudaFreeHost(void* memory);

namespace emulation {
struct Stream;
struct Event;
struct Graph;
}  // namespace emulation
using cudaStream_t = emulation::Stream*;
using cudaEvent_t = emulation::Event*;
using cudaGraph_t = emulation::Graph*;
using cudaGraphExec_t = emulation::Graph*;

enum cudaMemcpyKind : int {
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
};
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream);

constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);

enum cudaStreamCaptureMode : int { cudaStreamCaptureModeThreadLocal = 1 };
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

struct cudaLaunchConfig_t {
  dim3 grid, block;  // there gridDim and blockDim, which are macros here
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
  const void* attrs = nullptr;
  unsigned numAttrs = 0;
};
enum cudaFuncAttribute : int { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

namespace emulation {
// A kernel and its parameters; `run` is what one thread does.
struct Call {
  void (*run)(const void* call);
  std::shared_ptr<const void> call;
  std::size_t bytes;
};
cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, Call call);
cudaError_t allow_shared_memory(const void* kernel, int bytes);
}  // namespace emulation

template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute, int value) {
  return emulation::allow_shared_memory(reinterpret_cast<const void*>(kernel), value);
}
template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "parameters travel as bytes");
  struct Bound {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> values;
  };
  const auto bound = std::make_shared<const Bound>(
      Bound{kernel, {static_cast<Parameters>(std::forward<Arguments>(arguments))...}});
  return emulation::launch(*config, reinterpret_cast<const void*>(kernel),
                           {[](const void* call) {
                              const auto& self = *static_cast<const Bound*>(call);
                              std::apply(self.kernel, self.values);
                            },
                            bound, sizeof(Bound)});
}

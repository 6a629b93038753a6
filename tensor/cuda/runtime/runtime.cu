#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/cuda/runtime/runtime.h>
#include <ebb/tensor/cuda/table.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string>

namespace ebb::cuda {

namespace {

struct DeviceState {
  cudaStream_t kernels = nullptr, copies = nullptr;
  Fault* fault = nullptr;            // on the device
  Fault* seen = nullptr;             // pinned: where downloads bring it
  std::atomic<bool> checked{false};  // whether a kernel since then may have written it
  int multiprocessors = 0;

  // Pinned memory that small uploads pass through, so that nobody waits for them: one half after
  // the other, each free again when the event that its last use left has come.
  std::mutex staging_mutex;
  std::byte* staging = nullptr;
  std::size_t half = 0, used = 0;  // the one that is filled, and how far
  cudaEvent_t halves[2] = {nullptr, nullptr};
};
constexpr std::size_t staging_half = std::size_t{1} << 20, largest_staged = std::size_t{64} << 10;

int current() {
  int index = 0;
  require(cudaGetDevice(&index), "cudaGetDevice");
  return index;
}

// Made on the first use; never destroyed, as the driver may end before static variables do.
DeviceState& state() {
  static std::array<std::once_flag, Device::most> made;
  static auto& states = *new std::array<DeviceState, Device::most>;
  const auto index = static_cast<std::size_t>(current());
  check(index < states.size(), "device cuda:{}: only {} are used", index, states.size());
  DeviceState& s = states[index];
  std::call_once(made[index], [&] {
    require(cudaStreamCreateWithFlags(&s.kernels, cudaStreamNonBlocking), "cudaStreamCreate");
    require(cudaStreamCreateWithFlags(&s.copies, cudaStreamNonBlocking), "cudaStreamCreate");
    require(cudaMalloc(reinterpret_cast<void**>(&s.fault), sizeof(Fault)), "cudaMalloc");
    require(cudaMallocHost(reinterpret_cast<void**>(&s.seen), sizeof(Fault)), "cudaMallocHost");
    require(cudaMemsetAsync(s.fault, 0, sizeof(Fault), s.kernels), "cudaMemsetAsync");
    require(cudaMallocHost(reinterpret_cast<void**>(&s.staging), 2 * staging_half),
            "cudaMallocHost");
    for (cudaEvent_t& half : s.halves)
      require(cudaEventCreateWithFlags(&half, cudaEventDisableTiming), "cudaEventCreate");
    require(cudaDeviceGetAttribute(&s.multiprocessors, cudaDevAttrMultiProcessorCount,
                                   static_cast<int>(index)),
            "cudaDeviceGetAttribute");
  });
  return s;
}

// The names that faults are told by.
struct FaultNames {
  std::mutex mutex;
  std::vector<std::string> names;
};
FaultNames& fault_names() {
  static auto& names = *new FaultNames;
  return names;
}

void* allocate(int index, std::size_t bytes) {
  const DeviceScope scope(index);
  state();
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it is told by null, not by the next call too
    return nullptr;
  }
  require(status, "cudaMalloc");
  return memory;
}
// Called by destructors: an error that a kernel left is told by the next call that may throw.
void release(int index, void* memory, std::size_t) {
  const DeviceScope scope(index);
  cudaFree(memory);
}
void* allocate_pinned(int index, std::size_t bytes) {
  const DeviceScope scope(index);
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  require(status, "cudaMallocHost");
  return memory;
}
void release_pinned(int index, void* memory, std::size_t) {
  const DeviceScope scope(index);
  cudaFreeHost(memory);
}

void upload_staged(DeviceState& s, void* device, const void* host, std::size_t bytes) {
  const std::lock_guard lock(s.staging_mutex);
  if (s.used + bytes > staging_half) {
    require(cudaEventRecord(s.halves[s.half], s.kernels), "cudaEventRecord");
    s.half = 1 - s.half;
    s.used = 0;
    require(cudaEventSynchronize(s.halves[s.half]), "upload");
  }
  std::byte* const place = s.staging + s.half * staging_half + s.used;
  std::memcpy(place, host, bytes);
  require(cudaMemcpyAsync(device, place, bytes, cudaMemcpyHostToDevice, s.kernels), "upload");
  s.used += bytes;
}

void upload(int index, void* device, const void* host, std::size_t bytes) {
  const DeviceScope scope(index);
  if (bytes <= largest_staged) return upload_staged(state(), device, host, bytes);
  require(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream()), "upload");
  require(cudaStreamSynchronize(stream()), "upload");
}

void report_fault(const DeviceState& s) {
  if (s.seen->operation == 0) return;
  const Fault fault = *s.seen;
  require(cudaMemsetAsync(s.fault, 0, sizeof(Fault), s.kernels), "cudaMemsetAsync");
  const std::lock_guard lock(fault_names().mutex);
  fail("{}: index {} is out of range; it must be in [0, {})",
       fault_names().names[static_cast<std::size_t>(fault.operation) - 1], fault.value,
       fault.limit);
}

void download(int index, void* host, const void* device, std::size_t bytes) {
  const DeviceScope scope(index);
  DeviceState& s = state();
  const bool checked = s.checked.exchange(false);
  require(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, s.kernels), "download");
  if (checked)
    require(cudaMemcpyAsync(s.seen, s.fault, sizeof(Fault), cudaMemcpyDeviceToHost, s.kernels),
            "download");
  require(cudaStreamSynchronize(s.kernels), "download");
  if (checked) report_fault(s);
}

void copy(int index, void* to, const void* from, std::size_t bytes) {
  const DeviceScope scope(index);
  require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "copy");
}

cudaEvent_t recorded(cudaStream_t at) {
  cudaEvent_t event = nullptr;
  require(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  require(cudaEventRecord(event, at), "cudaEventRecord");
  return event;
}

// On the stream of copies, after the kernels called before; the event of its end.
void* start_copy(int index, void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const DeviceScope scope(index);
  const DeviceState& s = state();
  const cudaEvent_t kernels_so_far = recorded(s.kernels);
  require(cudaStreamWaitEvent(s.copies, kernels_so_far, 0), "cudaStreamWaitEvent");
  require(cudaEventDestroy(kernels_so_far), "cudaEventDestroy");
  require(cudaMemcpyAsync(to, from, bytes, kind, s.copies), "async copy");
  return recorded(s.copies);
}
void* start_upload(int index, void* device, const void* host, std::size_t bytes) {
  return start_copy(index, device, host, bytes, cudaMemcpyHostToDevice);
}
void* start_download(int index, void* host, const void* device, std::size_t bytes) {
  return start_copy(index, host, device, bytes, cudaMemcpyDeviceToHost);
}
void follow(int index, void* event) {
  const DeviceScope scope(index);
  require(cudaStreamWaitEvent(stream(), static_cast<cudaEvent_t>(event), 0), "async copy");
}
void finish(int index, void* event) {
  const DeviceScope scope(index);
  const cudaError_t status = cudaEventSynchronize(static_cast<cudaEvent_t>(event));
  cudaEventDestroy(static_cast<cudaEvent_t>(event));
  require(status, "async copy");
}

}  // namespace

void require(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  fail("{}: CUDA says: {} ({}); it may be a kernel before it: CUDA_LAUNCH_BLOCKING=1 tells which",
       what, cudaGetErrorString(status), cudaGetErrorName(status));
}

DeviceScope::DeviceScope(int index) : before_(current()) {
  if (index != before_) require(cudaSetDevice(index), "cudaSetDevice");
}
DeviceScope::~DeviceScope() { cudaSetDevice(before_); }

int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

cudaStream_t stream() { return state().kernels; }
int multiprocessors() { return state().multiprocessors; }

unsigned blocks_for(std::int64_t n) {
  const std::int64_t wanted = (n + block_threads - 1) / block_threads;
  const std::int64_t at_once = std::int64_t{multiprocessors()} * (2048 / block_threads);
  return static_cast<unsigned>(std::min(wanted, at_once));
}

Fault* fault_of_current_device() {
  state().checked = true;
  return state().fault;
}

int fault_name(std::string_view operation) {
  FaultNames& all = fault_names();
  const std::lock_guard lock(all.mutex);
  for (std::size_t i = 0; i < all.names.size(); ++i)
    if (all.names[i] == operation) return static_cast<int>(i) + 1;
  all.names.emplace_back(operation);
  return static_cast<int>(all.names.size());
}

namespace {
thread_local std::vector<int> devices_before;
}

void add_runtime(Kernels& table) {
  table.devices = device_count();
  check(table.devices > 0, "device cuda: no GPU or no driver is found; use --device cpu");
  table.enter = [](int index) {
    devices_before.push_back(current());
    if (index != devices_before.back()) require(cudaSetDevice(index), "cudaSetDevice");
  };
  table.leave = [](int) {
    cudaSetDevice(devices_before.back());
    devices_before.pop_back();
  };
  table.allocate = allocate;
  table.release = release;
  table.upload = upload;
  table.download = download;
  table.copy = copy;
  table.allocate_pinned = allocate_pinned;
  table.release_pinned = release_pinned;
  table.start_upload = start_upload;
  table.start_download = start_download;
  table.follow = follow;
  table.finish = finish;
}

}  // namespace ebb::cuda

#include "streams.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "block.h"

namespace emulation {

namespace {

constexpr int devices = 2, multiprocessors = 2;
constexpr int usual_shared_memory = 48 << 10, most_shared_memory = 227 << 10;

thread_local int current_device = 0;

std::unordered_map<const void*, int>& allowed_shared_memory() {
  static auto* const bytes = new std::unordered_map<const void*, int>;
  return *bytes;
}

}  // namespace

Runtime& runtime() {
  static Runtime* const one = new Runtime;
  return *one;
}

void Stream::drain(std::uint64_t until) {
  while (done < until && !queue.empty()) {
    const std::function<void()> work = std::move(queue.front());
    queue.pop_front();
    ++done;
    work();
  }
}

void Runtime::drain_all() {
  for (Stream* stream : streams) stream->drain(stream->pushed);
}

cudaError_t Runtime::waiting_call() const {
  for (const Stream* stream : streams)
    if (stream->recording != nullptr) return cudaErrorStreamCaptureUnsupported;
  return state();
}

cudaError_t Runtime::push(Stream& stream, Work kind, std::function<void()> work) {
  if (stream.recording != nullptr) {
    stream.recording->work.push_back(std::move(work));
    return state();
  }
  stream.queue.push_back(std::move(work));
  ++stream.pushed;
  const bool at_once = kind == Work::kernel ? order != Order::all_late
                                            : kind == Work::copy && order == Order::copies_early;
  if (at_once) stream.drain(stream.pushed);
  return state();
}

bool present() { return true; }

Counts counts() {
  const std::lock_guard lock(runtime().mutex);
  return runtime().counts;
}
void set_order(Order order) {
  const std::lock_guard lock(runtime().mutex);
  runtime().drain_all();
  runtime().order = order;
}
std::string report() { return runtime().report; }
void forget_report() { runtime().report.clear(); }

cudaError_t allow_shared_memory(const void* kernel, int bytes) {
  const std::lock_guard lock(runtime().mutex);
  if (bytes > most_shared_memory) return cudaErrorInvalidValue;
  allowed_shared_memory()[kernel] = bytes;
  return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, Call call) {
  const std::lock_guard lock(runtime().mutex);
  const auto known = allowed_shared_memory().find(kernel);
  const int allowed = known == allowed_shared_memory().end() ? usual_shared_memory : known->second;
  const dim3 grid = config.grid, block = config.block;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > 1024 || block.z > 64 || grid.x == 0 || grid.y == 0 || grid.z == 0 ||
      grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 ||
      config.dynamicSmemBytes > static_cast<std::size_t>(allowed))
    return cudaErrorInvalidConfiguration;
  ++runtime().counts.launches;
  return runtime().push(*config.stream, Work::kernel,
                        [work = Launch{grid, block, config.dynamicSmemBytes, std::move(call)}] {
                          if (runtime().report.empty()) runtime().report = run(work);
                        });
}

}  // namespace emulation

using emulation::runtime;
using emulation::Work;

const char* cudaGetErrorName(cudaError_t error) {
  return error == cudaSuccess                     ? "cudaSuccess"
         : error == cudaErrorMemoryAllocation     ? "cudaErrorMemoryAllocation"
         : error == cudaErrorInvalidConfiguration ? "cudaErrorInvalidConfiguration"
         : error == cudaErrorLaunchFailure        ? "cudaErrorLaunchFailure"
                                                  : "another error";
}
const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorLaunchFailure:
      return runtime().report.c_str();
  }
  return "unknown error";
}
cudaError_t cudaGetLastError() { return runtime().state(); }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = emulation::devices;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = emulation::current_device;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= emulation::devices) return cudaErrorInvalidDevice;
  emulation::current_device = device;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  *value = attribute == cudaDevAttrMultiProcessorCount ? emulation::multiprocessors
                                                       : emulation::most_shared_memory;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated GPU", 0, 9, 0, emulation::multiprocessors};
  std::size_t free;
  return cudaMemGetInfo(&free, &properties->totalGlobalMem);
}
cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(runtime().mutex);
  if (const cudaError_t wrong = runtime().waiting_call(); wrong != cudaSuccess) return wrong;
  ++runtime().counts.synchronizations;
  runtime().drain_all();
  return runtime().state();
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  if (kind == cudaMemcpyHostToDevice) ++runtime().counts.to_device;
  if (kind == cudaMemcpyDeviceToHost) ++runtime().counts.to_host;
  return runtime().push(*stream, kind == cudaMemcpyDeviceToDevice ? Work::kernel : Work::copy,
                        [=] { std::memcpy(to, from, bytes); });
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  return runtime().push(*stream, Work::kernel, [=] { std::memset(memory, value, bytes); });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(runtime().mutex);
  *stream = runtime().streams.emplace_back(new emulation::Stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  stream->drain(stream->pushed);
  std::erase(runtime().streams, stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  if (const cudaError_t wrong = runtime().waiting_call(); wrong != cudaSuccess) return wrong;
  ++runtime().counts.synchronizations;
  stream->drain(stream->pushed);
  return runtime().state();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(runtime().mutex);
  if (event->stream == nullptr) return cudaSuccess;
  return runtime().push(*stream, Work::wait, [at = *event] { at.stream->drain(at.position); });
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new emulation::Event;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  *event = {stream, stream->pushed};
  return runtime().state();
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(runtime().mutex);
  if (const cudaError_t wrong = runtime().waiting_call(); wrong != cudaSuccess) return wrong;
  ++runtime().counts.synchronizations;
  if (event->stream != nullptr) event->stream->drain(event->position);
  return runtime().state();
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const std::lock_guard lock(runtime().mutex);
  if (stream->recording != nullptr) return cudaErrorStreamCaptureUnsupported;
  stream->recording = new emulation::Graph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(runtime().mutex);
  *graph = std::exchange(stream->recording, nullptr);
  return *graph == nullptr ? cudaErrorInvalidValue : runtime().state();
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = new emulation::Graph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const std::lock_guard lock(runtime().mutex);
  ++runtime().counts.graph_launches;
  for (const auto& work : executable->work) {
    const cudaError_t status = runtime().push(*stream, Work::kernel, work);
    if (status != cudaSuccess) return status;
  }
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

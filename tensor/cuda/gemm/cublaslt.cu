// The library's matrices lie column after column. A row-major matrix read so is its transpose:
// out^T = b^T a^T is what it is asked for.
#include <cublasLt.h>
#include <ebb/tensor/cpu/runtime/environment.h>
#include <ebb/tensor/cuda/gemm/cublaslt.h>
#include <ebb/tensor/cuda/launch.h>
#include <ebb/tensor/precision.h>

#include <array>
#include <atomic>
#include <map>
#include <mutex>

namespace ebb::cuda {

namespace {

constexpr std::uint64_t most_workspace = std::uint64_t{32} << 20, workspace_alignment = 256;

void require_library(cublasStatus_t status, const char* what) {
  check(status == CUBLAS_STATUS_SUCCESS, "product: {}: cuBLASLt says: {}", what,
        cublasLtGetStatusString(status));
}

// Of the current device, made on the first use and never destroyed.
cublasLtHandle_t library_handle() {
  static std::array<std::once_flag, Device::most> made;
  static std::array<cublasLtHandle_t, Device::most> handles;
  int index = 0;
  require(cudaGetDevice(&index), "cudaGetDevice");
  const auto i = static_cast<std::size_t>(index);
  std::call_once(made[i], [&] { require_library(cublasLtCreate(&handles[i]), "cublasLtCreate"); });
  return handles[i];
}

cublasComputeType_t compute_type() {
  switch (precision()) {
    case Precision::tf32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Precision::bfloat16:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
    default:
      return CUBLAS_COMPUTE_32F;
  }
}

// Of matrices with `rows` rows of `neighbours` elements in memory, one after another.
cublasLtMatrixLayoutOpaque_t layout(std::int64_t neighbours, std::int64_t rows,
                                    std::int64_t count) {
  cublasLtMatrixLayoutOpaque_t result;
  require_library(
      cublasLtMatrixLayoutInit(&result, CUDA_R_32F, static_cast<std::uint64_t>(neighbours),
                               static_cast<std::uint64_t>(rows), neighbours),
      "layout");
  const auto matrices = static_cast<std::int32_t>(count);
  const std::int64_t stride = neighbours * rows;
  require_library(cublasLtMatrixLayoutSetAttribute(&result, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                   &matrices, sizeof matrices),
                  "layout");
  require_library(cublasLtMatrixLayoutSetAttribute(
                      &result, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
                  "layout");
  return result;
}

template <class Value>
void set(cublasLtMatmulDescOpaque_t& operation, cublasLtMatmulDescAttributes_t attribute,
         const Value& value) {
  require_library(cublasLtMatmulDescSetAttribute(&operation, attribute, &value, sizeof value),
                  "operation");
}

// What is multiplied how. Column-major, `a` is the product's b and `b` its a.
struct LibraryProduct {
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t a, b, out;

  explicit LibraryProduct(const Product<float>& p)
      : a(p.b.column == 1 ? layout(p.n, p.k, p.count) : layout(p.k, p.n, p.count)),
        b(p.a.column == 1 ? layout(p.k, p.m, p.count) : layout(p.m, p.k, p.count)),
        out(layout(p.n, p.m, p.count)) {
    require_library(cublasLtMatmulDescInit(&operation, compute_type(), CUDA_R_32F), "operation");
    set(operation, CUBLASLT_MATMUL_DESC_TRANSA, p.b.column == 1 ? CUBLAS_OP_N : CUBLAS_OP_T);
    set(operation, CUBLASLT_MATMUL_DESC_TRANSB, p.a.column == 1 ? CUBLAS_OP_N : CUBLAS_OP_T);
    if (p.bias == nullptr) return;
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  }
};

// Of all operands, in bytes, up to 64.
std::uint32_t alignment_of(const Product<float>& p) {
  const auto bits =
      reinterpret_cast<std::uintptr_t>(p.a.data) | reinterpret_cast<std::uintptr_t>(p.b.data) |
      reinterpret_cast<std::uintptr_t>(p.bias) | reinterpret_cast<std::uintptr_t>(p.out) | 64;
  return static_cast<std::uint32_t>(bits & -bits);
}

// The library's choice of an algorithm for the current device; `state` says whether there is one.
cublasLtMatmulHeuristicResult_t choose(const Product<float>& p, LibraryProduct& l) {
  cublasLtMatmulPreferenceOpaque_t preference;
  require_library(cublasLtMatmulPreferenceInit(&preference), "preference");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    require_library(
        cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
        "preference");
  };
  const std::uint32_t alignment = alignment_of(p);
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_workspace);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      library_handle(), &l.operation, &l.a, &l.b, &l.out, &l.out, &preference, 1, &result, &found);
  if (status != CUBLAS_STATUS_SUCCESS || found == 0) result.state = CUBLAS_STATUS_NOT_SUPPORTED;
  return result;
}

// The same, asked for once.
cublasLtMatmulHeuristicResult_t chosen(const Product<float>& p, LibraryProduct& l) {
  using Key = std::array<std::int64_t, 10>;
  static std::mutex mutex;
  static auto& known = *new std::map<Key, cublasLtMatmulHeuristicResult_t>;
  const Key key{p.device.index,
                p.count,
                p.m,
                p.n,
                p.k,
                p.a.column == 1,
                p.b.column == 1,
                p.bias != nullptr,
                compute_type(),
                alignment_of(p)};
  const std::lock_guard lock(mutex);
  const auto found = known.find(key);
  return found != known.end() ? found->second : known.emplace(key, choose(p, l)).first->second;
}

std::atomic<bool>& library_switch() {
  static std::atomic<bool> on{cpu::environment("EBB_CUBLAS") == "1"};
  return on;
}

}  // namespace

bool library_products() { return library_switch(); }
void set_library_products(bool on) { library_switch() = on; }

bool library_product(const Product<float>& p) {
  for (const std::int64_t size : {p.count, p.m, p.n, p.k})
    if (size == 0 || size > 0x7fffffff) return false;
  LibraryProduct l(p);
  const cublasLtMatmulHeuristicResult_t plan = chosen(p, l);
  if (plan.state != CUBLAS_STATUS_SUCCESS) return false;
  const Tensor workspace =
      Tensor::empty({static_cast<std::int64_t>((plan.workspaceSize + workspace_alignment) / 8)},
                    DType::int64, p.device);
  auto* const memory = reinterpret_cast<void*>(
      (reinterpret_cast<std::uintptr_t>(workspace.raw()) + workspace_alignment - 1) &
      ~std::uintptr_t{workspace_alignment - 1});
  const float one = 1, zero = 0;
  require_library(cublasLtMatmul(library_handle(), &l.operation, &one, p.b.data, &l.a, p.a.data,
                                 &l.b, &zero, p.out, &l.out, p.out, &l.out, &plan.algo, memory,
                                 plan.workspaceSize, stream()),
                  "cublasLtMatmul");
  return true;
}

}  // namespace ebb::cuda

// cuBLASLt's products by plain loops. An operand outside the device's memory, sizes that do not fit
// and too small a workspace are errors, as there.
#include <cublasLt.h>

#include <bit>
#include <cstring>

#include "memory.h"
#include "streams.h"

namespace emulation {

struct Blas {
  int device;
};

namespace {

constexpr std::size_t workspace_needed = 1000;

bool on_device(const void* data, const cublasLtMatrixLayoutOpaque_t& l) {
  const std::int64_t last =
      (l.count - 1) * l.stride_of_matrices + (l.columns - 1) * l.stride_of_columns + l.rows;
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  return in_arena(address) && allocated(address, static_cast<std::size_t>(last) * sizeof(float));
}

// To the nearest number of so many bits of mantissa less, ties to even.
float rounded(float x, int bits_less) {
  const std::uint32_t half = 1u << (bits_less - 1), bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7f800000) == 0x7f800000) return x;
  const std::uint32_t odd = bits >> bits_less & 1;
  return std::bit_cast<float>((bits + half - 1 + odd) >> bits_less << bits_less);
}
float rounded(float x, cublasComputeType_t compute) {
  return compute == CUBLAS_COMPUTE_32F_FAST_16BF   ? rounded(x, 16)
         : compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? rounded(x, 13)
                                                   : x;
}

// Element (i, j) of op(matrix).
float element(const float* matrix, const cublasLtMatrixLayoutOpaque_t& l, cublasOperation_t op,
              std::int64_t i, std::int64_t j) {
  return op == CUBLAS_OP_N ? matrix[i + j * l.stride_of_columns]
                           : matrix[j + i * l.stride_of_columns];
}

struct Matmul {
  cublasLtMatmulDescOpaque_t operation;
  cublasLtMatrixLayoutOpaque_t a_layout, b_layout, d_layout;
  const float *a, *b;
  float* d;

  std::int64_t inner() const {
    return operation.a == CUBLAS_OP_N ? a_layout.columns : a_layout.rows;
  }
  bool fits() const {
    const auto turned = [](const cublasLtMatrixLayoutOpaque_t& l, cublasOperation_t op) {
      return op == CUBLAS_OP_N ? std::pair{l.rows, l.columns} : std::pair{l.columns, l.rows};
    };
    return turned(a_layout, operation.a) == std::pair{d_layout.rows, inner()} &&
           turned(b_layout, operation.b) == std::pair{inner(), d_layout.columns} &&
           a_layout.count == d_layout.count && b_layout.count == d_layout.count;
  }
  void operator()() const {
    for (std::int64_t s = 0; s < d_layout.count; ++s)
      for (std::int64_t j = 0; j < d_layout.columns; ++j)
        for (std::int64_t i = 0; i < d_layout.rows; ++i) {
          double sum = operation.epilogue == CUBLASLT_EPILOGUE_BIAS ? double(operation.bias[i]) : 0;
          for (std::int64_t l = 0; l < inner(); ++l)
            sum += double(rounded(
                       element(a + s * a_layout.stride_of_matrices, a_layout, operation.a, i, l),
                       operation.compute)) *
                   double(rounded(
                       element(b + s * b_layout.stride_of_matrices, b_layout, operation.b, l, j),
                       operation.compute));
          d[s * d_layout.stride_of_matrices + j * d_layout.stride_of_columns + i] =
              static_cast<float>(sum);
        }
  }
};

// An attribute's value, if it has the right size.
template <class Value>
cublasStatus_t assign(Value& to, const void* value, std::size_t bytes) {
  if (value == nullptr || bytes != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&to, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

}  // namespace emulation

using emulation::assign;

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new emulation::Blas{device};
  return CUBLAS_STATUS_SUCCESS;
}

const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "CUBLAS_STATUS_SUCCESS" : "an error";
}

cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayout_t layout, cudaDataType_t,
                                        std::uint64_t rows, std::uint64_t columns,
                                        std::int64_t stride) {
  *layout = {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), stride, 0, 1};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t bytes) {
  return attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT
             ? assign(layout->count, value, bytes)
             : assign(layout->stride_of_matrices, value, bytes);
}

cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDesc_t operation, cublasComputeType_t compute,
                                      cudaDataType_t) {
  *operation = {compute, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return assign(operation->a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return assign(operation->b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return assign(operation->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return assign(operation->bias, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreference_t preference) {
  *preference = {0};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
    return assign(preference->most_workspace, value, bytes);
  std::uint32_t alignment;
  return assign(alignment, value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* found) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  *found = preference->most_workspace >= emulation::workspace_needed ? 1 : 0;
  if (*found == 1)
    *results = {{emulation::workspace_needed}, emulation::workspace_needed, CUBLAS_STATUS_SUCCESS};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                              const void* alpha, const void* a, cublasLtMatrixLayout_t a_layout,
                              const void* b, cublasLtMatrixLayout_t b_layout, const void* beta,
                              const void*, cublasLtMatrixLayout_t, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, std::size_t workspace_bytes, cudaStream_t stream) {
  using emulation::on_device;
  int device = 0;
  if (handle == nullptr || cudaGetDevice(&device) != cudaSuccess || device != handle->device)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  const emulation::Matmul product{*operation,
                                  *a_layout,
                                  *b_layout,
                                  *d_layout,
                                  static_cast<const float*>(a),
                                  static_cast<const float*>(b),
                                  static_cast<float*>(d)};
  const auto place = reinterpret_cast<std::uintptr_t>(workspace);
  if (*static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0 ||
      !product.fits() || !on_device(a, *a_layout) || !on_device(b, *b_layout) ||
      !on_device(d, *d_layout) || workspace_bytes < algo->workspace || place % 256 != 0 ||
      !emulation::in_arena(place) || !emulation::allocated(place, workspace_bytes) ||
      (operation->epilogue == CUBLASLT_EPILOGUE_BIAS &&
       !on_device(operation->bias, {d_layout->rows, 1, 0, 0, 1})))
    return CUBLAS_STATUS_INVALID_VALUE;
  const std::lock_guard lock(emulation::runtime().mutex);
  ++emulation::runtime().counts.library_products;
  return emulation::runtime().push(*stream, emulation::Work::kernel, product) == cudaSuccess
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_EXECUTION_FAILED;
}

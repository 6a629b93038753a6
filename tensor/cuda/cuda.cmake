# The CUDA backend (EBB_CUDA): target ebb_cuda_objects where it is built. AUTO builds it, for the
# cards that are there, where nvcc and a card are found; ON builds it for CMAKE_CUDA_ARCHITECTURES.
find_program(EBB_NVCC nvcc HINTS ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES bin)
file(GLOB cards /proc/driver/nvidia/gpus/*)
if(EBB_CUDA STREQUAL AUTO AND NOT (EBB_NVCC AND cards))
  return()
endif()
if(NOT EBB_NVCC)
  message(FATAL_ERROR "EBB_CUDA=${EBB_CUDA}: nvcc is not found; name it by -DEBB_NVCC=FILE")
endif()
if(NOT CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_COMPILER ${EBB_NVCC})
endif()
if(NOT CMAKE_CUDA_ARCHITECTURES)
  if(cards)
    set(CMAKE_CUDA_ARCHITECTURES native)
  else()
    set(CMAKE_CUDA_ARCHITECTURES 80 90 120)
  endif()
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know nvcc's
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
endif()
find_package(CUDAToolkit 12 REQUIRED)
file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tensor/cuda/*.cu)
add_library(ebb_cuda_objects OBJECT ${sources})
target_include_directories(ebb_cuda_objects PRIVATE ${PROJECT_BINARY_DIR}/include)
target_link_libraries(ebb_cuda_objects PRIVATE fmt::fmt CUDA::cudart_static CUDA::cublasLt)
# Denormals are zeros, as to the CPU's kernels. fmt's checks of format strings are beyond nvcc.
target_compile_options(ebb_cuda_objects PRIVATE --expt-relaxed-constexpr -ftz=true
  $<$<BOOL:${EBB_WERROR}>:-Werror=all-warnings> -Xcompiler=-Wall,-Wextra)
target_compile_definitions(ebb_cuda_objects PRIVATE FMT_USE_CONSTEXPR=1 FMT_CONSTEVAL=)
# A fused multiply-add rounds once: random numbers would have other bits than the CPU's.
file(GLOB random CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tensor/cuda/random/*.cu)
set_source_files_properties(${random} PROPERTIES COMPILE_OPTIONS -fmad=false)
set_target_properties(ebb_cuda_objects PROPERTIES CUDA_STANDARD 20 UNITY_BUILD OFF
  POSITION_INDEPENDENT_CODE ON)

// For functions that kernels of the CPU and of a GPU share.
#pragma once

#if defined(__CUDACC__)
#define EBB_HOST_DEVICE __host__ __device__
#else
#define EBB_HOST_DEVICE
#endif

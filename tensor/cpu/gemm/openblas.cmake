# The target ebb::openblas: OpenBLAS and its LAPACK, where this machine has them. Read when ebb is
# built and again where the installed static library is used.
if(NOT TARGET ebb::openblas)
  # The OpenMP build first: another one starts threads of its own beside ours.
  find_library(EBB_OPENBLAS NAMES openblas PATH_SUFFIXES openblas-openmp openblas)
  find_path(EBB_OPENBLAS_INCLUDE cblas.h
    PATH_SUFFIXES x86_64-linux-gnu/openblas-openmp x86_64-linux-gnu openblas)
  if(NOT EBB_OPENBLAS OR NOT EBB_OPENBLAS_INCLUDE)
    message(FATAL_ERROR "ebb needs OpenBLAS (Debian: libopenblas-openmp-dev)")
  endif()
  add_library(ebb::openblas UNKNOWN IMPORTED GLOBAL)
  set_target_properties(ebb::openblas PROPERTIES IMPORTED_LOCATION ${EBB_OPENBLAS}
    INTERFACE_INCLUDE_DIRECTORIES ${EBB_OPENBLAS_INCLUDE})
endif()

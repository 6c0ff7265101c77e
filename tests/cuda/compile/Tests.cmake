# shipped_kernels.cmake as a test, with the options of the library's build.
list(JOIN JACQUARD_NVCC_FLAGS " " nvcc_options)
add_test(NAME cuda/compile/shipped_kernels
  COMMAND "${CMAKE_COMMAND}"
    "-DNVCC=${CMAKE_CUDA_COMPILER}"
    "-DOPTIONS=-std=c++20 ${nvcc_options}"
    "-DSOURCE_DIR=${PROJECT_SOURCE_DIR}"
    "-DWORK_DIR=${CMAKE_CURRENT_BINARY_DIR}/shipped_kernels"
    -P "${CMAKE_CURRENT_LIST_DIR}/shipped_kernels.cmake")
set_tests_properties(cuda/compile/shipped_kernels PROPERTIES
  LABELS cuda TIMEOUT 900)

# Whether there is a CUDA compiler, and how device code is compiled:
# JACQUARD_CUDA_FOUND and jacquard_cuda_compile_options(TARGET). Without nvcc
# everything but the CUDA backend builds.
set(JACQUARD_CUDA_FOUND OFF)
set(JACQUARD_CUDA_PRESET "dev" CACHE STRING
  "Devices of the CUDA backend: dev (PTX of compute_80 and compute_120) or \
release (machine code of every major version, PTX of the oldest and newest)")
set_property(CACHE JACQUARD_CUDA_PRESET PROPERTY STRINGS dev release)

if(NOT JACQUARD_CUDA)
  message(STATUS "jacquard: building without CUDA (JACQUARD_CUDA is off)")
  return()
endif()

# nvcc is often installed beside the search path.
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(JACQUARD_NVCC nvcc
    HINTS "$ENV{CUDA_HOME}/bin" "$ENV{CUDA_PATH}/bin" /usr/local/cuda/bin)
  mark_as_advanced(JACQUARD_NVCC)
  if(JACQUARD_NVCC)
    set(CMAKE_CUDA_COMPILER "${JACQUARD_NVCC}")
  endif()
endif()
# The preset settles the devices, unless the caller names them.
set(by_preset OFF)
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(by_preset ON)
  set(CMAKE_CUDA_ARCHITECTURES 80-virtual 120-virtual)
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(STATUS "jacquard: building without CUDA (nvcc was not found)")
  return()
endif()
enable_language(CUDA)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
  message(STATUS "jacquard: building without CUDA (nvcc "
    "${CMAKE_CUDA_COMPILER_VERSION} is older than 12.8)")
  return()
endif()
find_package(CUDAToolkit REQUIRED)
if(JACQUARD_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${JACQUARD_CCACHE}")
endif()

set(JACQUARD_NVCC_FLAGS
  --fmad=false
  -Werror=all-warnings
  -Xcompiler=-Wall,-Wextra,-Werror,-ffp-contract=off)
if(NOT JACQUARD_WERROR)
  set(JACQUARD_NVCC_FLAGS --fmad=false -Xcompiler=-ffp-contract=off)
endif()
if(by_preset AND JACQUARD_CUDA_PRESET STREQUAL "release")
  # Code of the oldest and of every x.0; nvcc's own all-major lacks the oldest
  # PTX, which devices between two of them need.
  execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --list-gpu-arch
    OUTPUT_VARIABLE known COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[0-9]+" known "${known}")
  list(SORT known COMPARE NATURAL)
  set(CMAKE_CUDA_ARCHITECTURES 75-real)
  foreach(architecture IN LISTS known)
    if(architecture GREATER 75 AND architecture MATCHES "0$")
      list(APPEND CMAKE_CUDA_ARCHITECTURES ${architecture}-real)
      set(newest ${architecture})
    endif()
  endforeach()
  list(APPEND CMAKE_CUDA_ARCHITECTURES 75-virtual ${newest}-virtual)
  list(APPEND JACQUARD_NVCC_FLAGS --compress-mode=size)
else()
  list(APPEND JACQUARD_NVCC_FLAGS --no-compress)
endif()
message(STATUS "jacquard: CUDA ${CMAKE_CUDA_COMPILER_VERSION} for "
  "${CMAKE_CUDA_ARCHITECTURES}")

# Device code of a target. CMake before 3.25.2 knows no C++20 of nvcc, so the
# option is written out.
function(jacquard_cuda_compile_options target)
  target_compile_options(${target} PRIVATE -std=c++20 ${JACQUARD_NVCC_FLAGS})
  set_target_properties(${target} PROPERTIES
    CUDA_RUNTIME_LIBRARY Shared
    CUDA_SEPARABLE_COMPILATION OFF
    CUDA_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)
endfunction()
set(JACQUARD_CUDA_FOUND ON)

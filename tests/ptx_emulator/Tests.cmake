# The emulator's own tests. Programs with .cu files are built by nvcc like any
# user's program and run on the emulator's libraries.
find_package(GTest QUIET)
if(NOT GTest_FOUND)
  message(STATUS "ptx_emulator: no GoogleTest, its tests are not built")
  return()
endif()

set(PTX_EMULATOR_BIN_DIR "${CMAKE_CURRENT_BINARY_DIR}/tests")

# ptx_emulator_test(FOLDER LIBRARIES...): one program of a folder's sources.
function(ptx_emulator_test folder)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  set(target ptx_emulator_${folder})
  add_executable(${target} ${sources})
  ptx_emulator_target(${target})
  target_link_libraries(${target} PRIVATE ${ARGN} GTest::gtest_main)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${PTX_EMULATOR_BIN_DIR}")
  add_test(NAME ptx_emulator/${folder} COMMAND ${target} --gtest_brief=1)
  set_tests_properties(ptx_emulator/${folder} PROPERTIES
    LABELS unit TIMEOUT 600)
endfunction()

ptx_emulator_test(memory_tests ptx_emulator_memory)
ptx_emulator_test(engine_tests ptx_emulator_engine)
if(NOT CUDAToolkit_FOUND)
  return()
endif()
ptx_emulator_test(runtime_tests ptx_emulator_runtime)
if(TARGET ptx_emulator_cublasLt)
  ptx_emulator_test(library_tests ptx_emulator_cublasLt ptx_emulator_cudart)
  target_include_directories(ptx_emulator_library_tests SYSTEM PRIVATE
    ${CUDAToolkit_INCLUDE_DIRS})
endif()

# A sanitizer's runtime would have to be in programs that nvcc links, too.
if(JACQUARD_SANITIZE)
  return()
endif()

include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(STATUS "ptx_emulator: no nvcc, its CUDA programs are not built")
  return()
endif()
enable_language(CUDA)

# ptx_emulator_cuda_test(FOLDER): one program of a folder's .cu and .cpp files,
# run for a device of each capability that the project supports.
function(ptx_emulator_cuda_test folder)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cu ${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  set(target ptx_emulator_${folder})
  add_executable(${target} ${sources})
  target_compile_features(${target} PRIVATE cxx_std_20)
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>
    "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;-lineinfo>")
  set_target_properties(${target} PROPERTIES
    CUDA_ARCHITECTURES "80-virtual;120-virtual"
    CUDA_RUNTIME_LIBRARY Shared
    RUNTIME_OUTPUT_DIRECTORY "${PTX_EMULATOR_BIN_DIR}")
  target_link_libraries(${target} PRIVATE GTest::gtest_main CUDA::cudart)
  foreach(library ${ARGN})
    target_link_libraries(${target} PRIVATE CUDA::${library})
  endforeach()
  add_dependencies(${target} ptx_emulator)
  foreach(capability 80 120)
    set(name ptx_emulator/${folder}_${capability})
    add_test(NAME ${name} COMMAND ${target} --gtest_brief=1)
    set_tests_properties(${name} PROPERTIES
      LABELS unit TIMEOUT 600
      ENVIRONMENT "LD_LIBRARY_PATH=${PTX_EMULATOR_LIB_DIR};PTX_EMULATOR_CAPABILITY=${capability}")
  endforeach()
endfunction()

ptx_emulator_cuda_test(fault_tests)
ptx_emulator_cuda_test(program_tests)

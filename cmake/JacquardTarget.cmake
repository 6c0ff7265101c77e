# How all code of the project is compiled, and the two shapes of a target.

set(JACQUARD_WARNINGS
  -Wall -Wextra -Wpedantic -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough)
if(JACQUARD_WERROR)
  list(APPEND JACQUARD_WARNINGS -Werror)
endif()

# jacquard_compile_options(TARGET): language, warnings, sanitizers. Contraction
# is off because a value must have the same bits wherever it is computed.
function(jacquard_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_compile_options(${target} PRIVATE
    ${JACQUARD_WARNINGS}
    -ffp-contract=off
    $<$<CONFIG:Release>:-O2>)
  set_target_properties(${target} PROPERTIES
    CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    POSITION_INDEPENDENT_CODE ON)
  if(JACQUARD_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${JACQUARD_SANITIZE} -fno-sanitize-recover=all
      -fno-omit-frame-pointer -g1 -O1)
    target_link_options(${target} PRIVATE -fsanitize=${JACQUARD_SANITIZE})
  endif()
endfunction()

# jacquard_library(NAME SOURCES...): the shared library jacquard_NAME with the
# alias jacquard::NAME, installed and exported. Public headers are those under
# the caller's include/.
function(jacquard_library name)
  set(target jacquard_${name})
  add_library(${target} SHARED ${ARGN})
  add_library(jacquard::${name} ALIAS ${target})
  jacquard_compile_options(${target})
  set_target_properties(${target} PROPERTIES
    EXPORT_NAME ${name}
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}
    LIBRARY_OUTPUT_DIRECTORY "${JACQUARD_LIB_DIR}"
    BUILD_RPATH_USE_ORIGIN ON
    BUILD_RPATH "$ORIGIN"
    INSTALL_RPATH "$ORIGIN")
  # Headers inside the tree are included from its root, as "core/…/x.h".
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_options(${target} PRIVATE -Wl,--as-needed)
  if(NOT JACQUARD_SANITIZE)
    target_link_options(${target} PRIVATE -Wl,--no-undefined)
  endif()
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/include")
    target_include_directories(${target} PUBLIC
      "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>"
      "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
    install(DIRECTORY include/jacquard
      DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
  endif()
  install(TARGETS ${target} EXPORT jacquard-targets
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endfunction()

# jacquard_executable(NAME SOURCES...): a program of the tree, in build/bin.
function(jacquard_executable name)
  add_executable(${name} ${ARGN})
  jacquard_compile_options(${name})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${JACQUARD_BIN_DIR}")
  add_dependencies(${name} jacquard_cpu)
  if(TARGET jacquard_cuda)
    add_dependencies(${name} jacquard_cuda)
  endif()
endfunction()

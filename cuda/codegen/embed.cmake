# The text of which generated programs are made – core's scalar functions and
# the skeletons in device/ – as a source file of the backend.
file(GLOB embedded_texts CONFIGURE_DEPENDS
  "${CMAKE_CURRENT_LIST_DIR}/device/*.cuh")
list(APPEND embedded_texts
  "${PROJECT_SOURCE_DIR}/core/pointwise/scalar_basics.h"
  "${PROJECT_SOURCE_DIR}/core/pointwise/scalar_functions.h"
  "${PROJECT_SOURCE_DIR}/core/pointwise/scalar_random.h")
set(embedded_source "${CMAKE_CURRENT_BINARY_DIR}/embedded.cpp")
add_custom_command(
  OUTPUT "${embedded_source}"
  COMMAND "${CMAKE_COMMAND}" "-DOUTPUT=${embedded_source}"
    "-DINPUTS=${embedded_texts}" -P
    "${CMAKE_CURRENT_LIST_DIR}/embed_texts.cmake"
  DEPENDS ${embedded_texts} "${CMAKE_CURRENT_LIST_DIR}/embed_texts.cmake"
  COMMENT "Embedding the text of generated programs"
  VERBATIM)
list(APPEND host_sources "${embedded_source}")

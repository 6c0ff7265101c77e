# The tests of gradients against a core with a wrong rule: see mutants.cpp.
set(mutated
  _ZN8jacquard9pointwise3vjpERKNS0_12DifferentialEi
  _ZN8jacquard9pointwise3jvpERKNS0_12DifferentialEi
  _ZN8jacquard4tape15PullbackContext3addEiNS_13TrackedTensorE
  _ZN8jacquard4tape15PullbackContext11part_bufferEi
  _ZN8jacquard4tape15PullbackContext8add_intoERKNS_6TensorERKNS_13TrackedTensorE
  _ZN8jacquard4tape15PullbackContext6targetEi
  _ZN8jacquard4tape15PullbackContext13matrix_targetEib
  _ZN8jacquard4tape8multiplyERKNS_6TensorES3_S3_b)
list(TRANSFORM mutated PREPEND "-Wl,--wrap=")

add_library(jacquard_mutants SHARED
  "${CMAKE_CURRENT_LIST_DIR}/mutants.cpp" $<TARGET_OBJECTS:jacquard_core>)
jacquard_compile_options(jacquard_mutants)
target_include_directories(jacquard_mutants PRIVATE
  "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/core/include")
target_link_options(jacquard_mutants PRIVATE ${mutated})
target_link_libraries(jacquard_mutants PRIVATE ${CMAKE_DL_LIBS})
get_target_property(version jacquard_core SOVERSION)
set_target_properties(jacquard_mutants PROPERTIES
  OUTPUT_NAME jacquard_core
  SOVERSION ${version}
  LIBRARY_OUTPUT_DIRECTORY "${JACQUARD_LIB_DIR}/mutants")

add_test(NAME mutation/rules
  COMMAND "${CMAKE_CURRENT_LIST_DIR}/rules_test.sh" "${JACQUARD_LIB_DIR}"
    $<TARGET_FILE:test_conformance> $<TARGET_FILE:test_core_ops>
    $<TARGET_FILE:test_core_pointwise>)
set_tests_properties(mutation/rules PROPERTIES LABELS mutation TIMEOUT 1200
  ENVIRONMENT "JACQUARD_DEVICE=cpu;${environment}")

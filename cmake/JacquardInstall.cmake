# The package that find_package(jacquard) finds. It needs no other package:
# everything private is linked into, or by, the shared libraries.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/jacquard")

install(TARGETS jacquard EXPORT jacquard-targets)
install(EXPORT jacquard-targets
  NAMESPACE jacquard:: DESTINATION "${package_dir}")
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/jacquard-config.cmake.in"
  "${PROJECT_BINARY_DIR}/jacquard-config.cmake"
  INSTALL_DESTINATION "${package_dir}")
# Before 1.0 each minor version may change the interface.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/jacquard-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/jacquard-config.cmake"
  "${PROJECT_BINARY_DIR}/jacquard-config-version.cmake"
  DESTINATION "${package_dir}")

# What is installed: headers, library, command; the CMake package with its components core and images, and for other builds
# riata.pc and riata-core.pc of pkg-config.
if(NOT RIATA_INSTALL)
  return()
endif()

include(CMakePackageConfigHelpers)
set(riata_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/riata")
configure_package_config_file(cmake/riataConfig.cmake.in "${PROJECT_BINARY_DIR}/riataConfig.cmake"
  INSTALL_DESTINATION "${riata_cmake_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/riataConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)  # before 1.0 a minor version may break callers
install(FILES "${PROJECT_BINARY_DIR}/riataConfig.cmake" "${PROJECT_BINARY_DIR}/riataConfigVersion.cmake"
  DESTINATION "${riata_cmake_dir}" COMPONENT dev)
install(TARGETS riata_core EXPORT riataTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime NAMELINK_COMPONENT dev
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev)
install(EXPORT riataTargets NAMESPACE riata:: DESTINATION "${riata_cmake_dir}" COMPONENT dev)
install(TARGETS riata EXPORT riataImagesTargets)
install(EXPORT riataImagesTargets NAMESPACE riata:: DESTINATION "${riata_cmake_dir}" COMPONENT dev)

# Shared, the library brings its own dependencies; static, who links it links them. Libraries are named after riata, which needs them.
set(core_libraries "")
set(image_libraries "")
if(NOT BUILD_SHARED_LIBS)
  list(TRANSFORM OpenMP_CXX_LIB_NAMES PREPEND " -l" OUTPUT_VARIABLE openmp)
  string(REPLACE ";" "" core_libraries " -lz -ldl${openmp}")
  if(RIATA_IMAGES)
    set(image_libraries " -lpng -ljpeg -ltiff")
  endif()
endif()
file(RELATIVE_PATH prefix_from_here "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
function(riata_install_pkg_config name description libraries)
  configure_file(cmake/riata.pc.in "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT dev)
endfunction()
riata_install_pkg_config(riata "${PROJECT_DESCRIPTION}" "${image_libraries}${core_libraries}")
riata_install_pkg_config(riata-core "riata without pictures" "${core_libraries}")

install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT dev)

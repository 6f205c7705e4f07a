# `make deb`: Debian packages of what cmake/RiataInstall.cmake and python/ install, by CPack. dpkg-shlibdeps finds what they depend on,
# but for OpenBLAS, which the first product loads.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "riata contributors")
set(CPACK_PACKAGING_INSTALL_PREFIX "${CMAKE_INSTALL_PREFIX}")
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL runtime dev cli)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY "=")
set(openblas "libopenblas0-openmp | libopenblas0")

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME "libriata${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS "${openblas}")
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "${PROJECT_DESCRIPTION}: shared library")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libriata-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${CPACK_DEBIAN_RUNTIME_PACKAGE_NAME} (= ${PROJECT_VERSION}), libeigen3-dev")
set(CPACK_COMPONENT_DEV_DESCRIPTION "${PROJECT_DESCRIPTION}: headers, CMake package, pkg-config files")

set(CPACK_DEBIAN_CLI_PACKAGE_NAME riata)
set(CPACK_DEBIAN_CLI_PACKAGE_SECTION science)
set(CPACK_DEBIAN_CLI_PACKAGE_DEPENDS "${openblas}")
set(CPACK_COMPONENT_CLI_DESCRIPTION "${PROJECT_DESCRIPTION}: command")

if(RIATA_BUILD_PYTHON AND RIATA_PYTHON_INSTALL_DIR)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter)
  list(APPEND CPACK_COMPONENTS_ALL python)
  math(EXPR next "${Python_VERSION_MINOR} + 1")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_NAME python3-riata)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SECTION python)
  set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS "${openblas}, python3 (>= 3.${Python_VERSION_MINOR}), python3 (<< 3.${next}), \
python3-numpy, python3-scipy, python3-sklearn")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_CONTROL_EXTRA  # bytecode is made when it is installed, and goes with it
    "${PROJECT_SOURCE_DIR}/cmake/deb/postinst;${PROJECT_SOURCE_DIR}/cmake/deb/prerm")
  set(CPACK_DEBIAN_PYTHON_PACKAGE_SUGGESTS "python3-matplotlib")
  set(CPACK_COMPONENT_PYTHON_DESCRIPTION "${PROJECT_DESCRIPTION}: Python package")
endif()
include(CPack)

# Defines OpenBLAS::OpenBLAS, and OpenBLAS_FOLDER and OpenBLAS_FILE for those who load it when they run. The OpenMP build is preferred: it shares our thread pool instead of bringing a second one (openblaso on Fedora and its kin).
# (OpenBLAS's own config file names one build by absolute path, without a target.)
find_path(OpenBLAS_INCLUDE_DIR openblas_config.h PATH_SUFFIXES openblas-openmp openblas openblas-pthread openblas-serial)
find_library(OpenBLAS_LIBRARY NAMES openblaso openblas PATH_SUFFIXES openblas-openmp openblas openblas-pthread openblas-serial)
mark_as_advanced(OpenBLAS_INCLUDE_DIR OpenBLAS_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBLAS REQUIRED_VARS OpenBLAS_LIBRARY OpenBLAS_INCLUDE_DIR)

if(OpenBLAS_FOUND)
  get_filename_component(OpenBLAS_FOLDER "${OpenBLAS_LIBRARY}" DIRECTORY)
  get_filename_component(OpenBLAS_FILE "${OpenBLAS_LIBRARY}" NAME)
  # The name that is there without the development files.
  execute_process(COMMAND "${CMAKE_READELF}" -d "${OpenBLAS_LIBRARY}" OUTPUT_VARIABLE openblas_dynamic ERROR_QUIET)
  if(openblas_dynamic MATCHES "SONAME[^[]*\\[([^]]+)\\]")
    set(OpenBLAS_FILE "${CMAKE_MATCH_1}")
  endif()
endif()

if(OpenBLAS_FOUND AND NOT TARGET OpenBLAS::OpenBLAS)
  add_library(OpenBLAS::OpenBLAS UNKNOWN IMPORTED)
  set_target_properties(OpenBLAS::OpenBLAS PROPERTIES
    IMPORTED_LOCATION "${OpenBLAS_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${OpenBLAS_INCLUDE_DIR}")
endif()

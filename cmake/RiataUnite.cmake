# riata_unite(target size): compiles the target's sources of one folder together, at most `size` at a time. Most of a source's
# compilation is templates of Eigen's (of CLI11's, of nanobind's) that its neighbours instantiate, too: it halves a cold build. Names
# in anonymous namespaces must then differ within a folder. -DRIATA_UNITE=OFF compiles each source alone.

option(RIATA_UNITE "Compile the sources of one folder together" ON)

function(riata_unite target size)
  if(NOT RIATA_UNITE)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  target_compile_options(${target} PRIVATE  # GCC takes what a unit includes for headers, from which nothing anonymous should escape
    $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  get_target_property(sources ${target} SOURCES)
  get_target_property(base ${target} SOURCE_DIR)
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY "${base}" OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY "${PROJECT_SOURCE_DIR}" OUTPUT_VARIABLE name)
    cmake_path(GET name PARENT_PATH folder)
    string(MAKE_C_IDENTIFIER "${folder}" folder)
    if(NOT DEFINED n_${folder})
      set(n_${folder} 0)
    endif()
    math(EXPR group "${n_${folder}} / ${size}")
    math(EXPR n_${folder} "${n_${folder}} + 1")
    set_source_files_properties("${source}" TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP "${folder}_${group}")
  endforeach()
endfunction()

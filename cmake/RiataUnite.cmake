# riata_unite(target size): compiles the target's sources of one folder together, `size` at a time. Most of a source's compilation
# is templates of Eigen's (of CLI11's, of nanobind's) that its neighbours instantiate, too: it halves a cold build. Names in
# anonymous namespaces must then differ within a folder. -DRIATA_UNITE=OFF compiles each source alone.

option(RIATA_UNITE "Compile the sources of one folder together" ON)

function(riata_unite target size)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${RIATA_UNITE} UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  set(folder "")
  foreach(source IN LISTS sources)
    cmake_path(GET source PARENT_PATH here)
    if(NOT here STREQUAL folder)
      set(folder "${here}")
      set(n 0)
    endif()
    cmake_path(GET folder FILENAME name)
    math(EXPR group "${n} / ${size}")
    math(EXPR n "${n} + 1")
    set_source_files_properties("${source}" TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP "${name}_${group}")
  endforeach()
endfunction()

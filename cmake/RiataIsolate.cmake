# riata_add_isolated_library(name STATIC|SHARED objects...): the library of OBJECT libraries from which nothing but namespace riata
# can be seen.
#
# Templates and inline functions of Eigen, fmt and others, which riata and a program both compile, each with its own settings,
# have the same names in both. The linker would keep one of two, whichever it meets first: riata would then run code compiled
# for another processor, round otherwise, and free by one allocator what the other gave. So a shared library exports namespace
# riata alone; a static one is an object for each OBJECT library, in which all other names are local.

# Mangled: functions and data; virtual tables and type information (T), variables within functions (Z) and their guards.
set(riata_visible_names "_ZN5riata*" "_ZNK5riata*" "_ZT?N5riata*" "_ZTh*_N*5riata*" "_ZTv*_N*5riata*" "_ZZN5riata*" "_ZZNK5riata*"
  "_ZGVN5riata*" "_ZGVZN5riata*" "_ZGVZNK5riata*")

function(riata_add_isolated_library name type)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/isolated")
  list(TRANSFORM ARGN REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE all_objects)
  execute_process(COMMAND "${CMAKE_LINKER}" --version OUTPUT_VARIABLE linker ERROR_QUIET)
  if(NOT linker MATCHES "GNU ld" OR NOT CMAKE_OBJCOPY)
    message(STATUS "riata: without GNU ld and objcopy all its names are visible; programs with Eigen then need its compiler flags")
    add_library(${name} ${type} ${all_objects})
  elseif(type STREQUAL "SHARED")
    list(JOIN riata_visible_names ";\n    " names)
    file(CONFIGURE OUTPUT "${folder}/names.map" CONTENT "{\n  global:\n    @names@;\n  local:\n    *;\n};\n" @ONLY)
    add_library(${name} SHARED ${all_objects})
    target_link_options(${name} PRIVATE "LINKER:--version-script=${folder}/names.map,-Bsymbolic-functions")
    set_target_properties(${name} PROPERTIES LINK_DEPENDS "${folder}/names.map" LINKER_LANGUAGE CXX
      VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})  # before 1.0 a minor version may break callers
  else()
    list(TRANSFORM riata_visible_names PREPEND "--keep-global-symbol=" OUTPUT_VARIABLE names)
    file(MAKE_DIRECTORY "${folder}")
    foreach(objects IN LISTS ARGN)
      if(CMAKE_INTERPROCEDURAL_OPTIMIZATION OR CMAKE_CXX_FLAGS MATCHES "-flto")
        target_compile_options(${objects} PRIVATE -fno-lto)  # such objects have no code yet whose names could be local
      endif()
      set(object "${folder}/${objects}.o")
      set(parts "$<FILTER:$<TARGET_OBJECTS:${objects}>,INCLUDE,\\.o(bj)?$>")  # no precompiled header
      add_custom_command(OUTPUT "${object}"
        COMMAND "${CMAKE_LINKER}" -r --force-group-allocation -o "${object}" "${parts}"
        COMMAND "${CMAKE_OBJCOPY}" --localize-hidden --wildcard ${names} "${object}"
        DEPENDS "${parts}" COMMAND_EXPAND_LISTS VERBATIM)
      list(APPEND isolated "${object}")
    endforeach()
    add_library(${name} STATIC ${isolated})
    set_source_files_properties(${isolated} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  endif()
endfunction()

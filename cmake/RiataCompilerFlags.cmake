# riata_flags: what every target of ours is compiled with, and nobody else's. The library, its doors and its tests must
# share these: they instantiate the same Eigen templates, and the linker keeps one copy, whichever it meets first.

add_library(riata_flags INTERFACE)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  if(PROJECT_IS_TOP_LEVEL)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
  else()  # the parent's to set; riata alone is optimised
    target_compile_options(riata_flags INTERFACE -O3 -DNDEBUG)
  endif()
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)  # so that what is installed loads the libraries it was linked with

target_compile_options(riata_flags INTERFACE
  -Wall -Wextra -Wpedantic $<$<NOT:$<BOOL:$<TARGET_PROPERTY:RIATA_SHADOWS>>>:-Wshadow>
  -Wno-missing-field-initializers  # {.tol = 1e-8} leaves the other options at their defaults on purpose
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>  # GCC 12 sees ghosts in std::vector members initialised so
  # GCC collects garbage after every 30 % of growth by default: a tenth of the time, for a fifth more memory.
  $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-expand=1000>
  # Not -ffast-math: NaN, infinity and the order of sums matter here. These two lose nothing we use (errno of sqrt,
  # traps on floating-point exceptions) and without them loops that hold a sqrt or a select do not vectorise.
  -fno-math-errno -fno-trapping-math
  # The same bits on every processor: no fused multiply-add where the code did not ask for one (gram_kernels.hpp does).
  -ffp-contract=off)

if(RIATA_NATIVE)
  add_compile_options(-march=native)
  # malloc() aligns to 16 bytes. Vectors of Eigen's that are wider would begin its sums where an address says.
  add_compile_definitions(EIGEN_DONT_VECTORIZE)
endif()

if(RIATA_SANITIZE)
  # Of directory scope: GoogleTest apart, all code of the process must be instrumented.
  add_compile_options(-fsanitize=${RIATA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${RIATA_SANITIZE})
  # Functions dispatched by ifunc are resolved before the sanitizer's runtime has started, and crash in it.
  add_compile_definitions(RIATA_NO_DISPATCH)
endif()

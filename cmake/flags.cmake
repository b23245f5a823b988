# One interface library carries every compile and link option, so that no
# global flag string is ever edited and each target says what it wants.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(bttfs_flags INTERFACE)
target_compile_definitions(bttfs_flags INTERFACE
  _GNU_SOURCE _FILE_OFFSET_BITS=64 BTTFS_VERSION="${PROJECT_VERSION}"
  $<$<CONFIG:Debug>:LANES_ABORT_ON_VIOLATION>)

target_compile_options(bttfs_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla
  -Wcast-align -Wcast-qual -Wpointer-arith -Wwrite-strings -Wundef
  -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough -Wunused
  -Wdouble-promotion -fno-common
  -UNDEBUG # an assertion is part of the program, also in a release
  $<$<C_COMPILER_ID:GNU>:-Wduplicated-cond;-Wlogical-op;-Wjump-misses-init>
  $<$<C_COMPILER_ID:Clang>:-Wthread-safety;-Wthread-safety-beta;-Wcomma>
  $<$<C_COMPILER_ID:Clang>:-Wunreachable-code>
  $<$<BOOL:${BTTFS_WERROR}>:-Werror>)

# Two builds of one tree are the same bytes wherever the tree lies.
target_compile_options(bttfs_flags INTERFACE
  -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)

# The hot path is compiled for the baseline of the architecture; what needs
# more (non-temporal copies, clwb) is chosen at run time by libpmem2.
target_compile_options(bttfs_flags INTERFACE
  -fstack-protector-strong -fno-omit-frame-pointer
  $<$<CONFIG:RelWithDebInfo>:-D_FORTIFY_SOURCE=2;-fstack-clash-protection>)
target_link_options(bttfs_flags INTERFACE -Wl,-z,relro,-z,now)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

if(BTTFS_SANITIZE)
  target_compile_options(bttfs_flags INTERFACE
    -fsanitize=${BTTFS_SANITIZE} -fno-sanitize-recover=all -g)
  target_link_options(bttfs_flags INTERFACE -fsanitize=${BTTFS_SANITIZE})
  if(BTTFS_SANITIZE MATCHES "thread")
    target_compile_definitions(bttfs_flags INTERFACE BTTFS_TSAN)
  endif()
  target_compile_definitions(bttfs_flags INTERFACE
    BTTFS_SANITIZED LANES_ABORT_ON_VIOLATION)
endif()

if(BTTFS_COVERAGE)
  target_compile_options(bttfs_flags INTERFACE
    --coverage -fprofile-update=atomic)
  target_link_options(bttfs_flags INTERFACE --coverage)
endif()

if(BTTFS_FUZZ)
  target_compile_options(bttfs_flags INTERFACE -fsanitize=fuzzer-no-link
    -fsanitize-coverage-ignorelist=${PROJECT_SOURCE_DIR}/tests/fuzz/coverage.ignore)
endif()

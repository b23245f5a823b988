# Fuzz targets (tests/fuzz/README.md).  With BTTFS_FUZZ they are libFuzzer's,
# else programs that run the inputs they are given: so the corpus is tried in
# every build.  tests/fuzz/run is for longer runs.
set(fuzz_corpus ${CMAKE_CURRENT_LIST_DIR}/fuzz/corpus)

# The engine once more, with arenas of a few pages.
get_target_property(small_sources btt SOURCES)
list(TRANSFORM small_sources PREPEND ${PROJECT_SOURCE_DIR}/btt/)
add_library(btt_small STATIC EXCLUDE_FROM_ALL ${small_sources})
target_compile_definitions(btt_small PUBLIC BTT_SMALL_ARENAS)
target_include_directories(btt_small PUBLIC
  ${PROJECT_SOURCE_DIR}/btt ${PROJECT_SOURCE_DIR}/btt/include)
target_link_libraries(btt_small
  PRIVATE bttfs_flags PkgConfig::PMEM2
  PUBLIC lanes)

# Whole images, and what must come of them.
add_library(fuzz_image STATIC EXCLUDE_FROM_ALL
  crash/reference_recovery.c
  fuzz/faults.c
  fuzz/medium.c
  fuzz/oracle.c
  fuzz/packed.c)
target_compile_definitions(fuzz_image PUBLIC
  REFERENCE_LBAS=512 REFERENCE_LANES=4096)
target_link_libraries(fuzz_image PRIVATE bttfs_flags PUBLIC btt_small)
# See fuzz/faults.h.
foreach(name IN ITEMS malloc calloc realloc aligned_alloc media_try)
  target_link_options(fuzz_image INTERFACE -Wl,--wrap=${name})
endforeach()

add_custom_target(fuzz_targets)

# bttfs_fuzz_target(NAME source... [THREADS] [CORPUS name] [LIBS target...])
# Inputs are in fuzz/corpus/CORPUS, by default NAME.
function(bttfs_fuzz_target name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "THREADS" "CORPUS" "LIBS")
  if(NOT arg_CORPUS)
    set(arg_CORPUS ${name})
  endif()
  add_executable(fuzz_${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(fuzz_${name} PRIVATE bttfs_flags ${arg_LIBS})
  set_target_properties(fuzz_${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/fuzz)
  if(BTTFS_FUZZ)
    if(arg_CORPUS STREQUAL "image")
      target_sources(fuzz_${name} PRIVATE fuzz/mutate.c)
    endif()
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz-${name}
      COMMAND fuzz_${name} -runs=0 ${fuzz_corpus}/${arg_CORPUS})
    # It writes what it finds into the first directory.
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/fuzz/found-${name})
    add_test(NAME fuzz-${name}-new
      COMMAND fuzz_${name} -max_total_time=2 -timeout=10 -max_len=16384
        -dict=${CMAKE_CURRENT_LIST_DIR}/fuzz/dictionary
        -artifact_prefix=${CMAKE_CURRENT_BINARY_DIR}/fuzz/${name}-
        ${CMAKE_CURRENT_BINARY_DIR}/fuzz/found-${name}
        ${fuzz_corpus}/${arg_CORPUS})
    set_tests_properties(fuzz-${name}-new PROPERTIES LABELS fuzz TIMEOUT 60
      ENVIRONMENT "ASAN_OPTIONS=quarantine_size_mb=8")
  else()
    target_sources(fuzz_${name} PRIVATE fuzz/replay.c)
    add_test(NAME fuzz-${name}
      COMMAND fuzz_${name} ${fuzz_corpus}/${arg_CORPUS})
  endif()
  set_tests_properties(fuzz-${name} PROPERTIES LABELS "unit;fuzz" TIMEOUT 120)
  if(NOT arg_THREADS)
    bttfs_one_thread(fuzz-${name} fuzz_${name})
  endif()
  add_dependencies(fuzz_targets fuzz_${name})
endfunction()

bttfs_fuzz_target(info fuzz/fuzz_info.c fuzz/medium.c LIBS btt lanes)
target_include_directories(fuzz_info PRIVATE ${PROJECT_SOURCE_DIR}/btt)
bttfs_fuzz_target(log fuzz/fuzz_log.c LIBS fuzz_image)
bttfs_fuzz_target(label fuzz/fuzz_label.c support/hostile.c LIBS fuzz_image)
bttfs_fuzz_target(open fuzz/fuzz_open.c CORPUS image LIBS fuzz_image)
bttfs_fuzz_target(check fuzz/fuzz_check.c CORPUS image LIBS fuzz_image)
bttfs_fuzz_target(inspect fuzz/fuzz_inspect.c CORPUS image LIBS fuzz_image)
bttfs_fuzz_target(repair fuzz/fuzz_repair.c CORPUS image LIBS fuzz_image)

# A device in use.
bttfs_fuzz_target(ops fuzz/fuzz_ops.c support/hostile.c LIBS fuzz_image)
bttfs_fuzz_target(fuse fuzz/fuzz_fuse.c support/hostile.c
  ${PROJECT_SOURCE_DIR}/daemon/fs_io.c
  ${PROJECT_SOURCE_DIR}/daemon/io_stats.c
  ${PROJECT_SOURCE_DIR}/daemon/session_dev.c
  ${PROJECT_SOURCE_DIR}/daemon/session_request.c
  LIBS fuzz_image)
target_compile_definitions(fuzz_fuse PRIVATE
  FUSE_USE_VERSION=314 writev=fuzz_writev)
target_include_directories(fuzz_fuse PRIVATE
  ${PROJECT_SOURCE_DIR}/daemon ${FUSE3_INCLUDE_DIRS})
foreach(name label ops fuse)
  target_include_directories(fuzz_${name} PRIVATE ${CMAKE_CURRENT_LIST_DIR})
endforeach()

# What clients say.
bttfs_fuzz_target(control fuzz/fuzz_control.c fuzz/medium.c THREADS
  LIBS bttfs_devices PkgConfig::JSONC)
target_link_options(fuzz_control PRIVATE -Wl,--wrap=manager_attach)

# What people type.
bttfs_fuzz_target(text fuzz/fuzz_text.c fuzz/medium.c LIBS bttfs_daemon_core)
bttfs_fuzz_target(config fuzz/fuzz_config.c fuzz/medium.c LIBS bttfs_devices)
bttfs_fuzz_target(options fuzz/fuzz_options.c fuzz/medium.c fuzz/words.c
  LIBS bttfs_devices)
target_link_options(fuzz_options PRIVATE -Wl,--wrap=config_read)
pkg_check_modules(BLKID REQUIRED IMPORTED_TARGET blkid)
get_target_property(ctl_sources bttctl SOURCES)
list(REMOVE_ITEM ctl_sources bttctl.c)
list(TRANSFORM ctl_sources PREPEND ${PROJECT_SOURCE_DIR}/daemon/)
bttfs_fuzz_target(ctl fuzz/fuzz_ctl.c fuzz/medium.c fuzz/words.c ${ctl_sources}
  LIBS bttfs_daemon_core PkgConfig::BLKID PkgConfig::JSONC)

# The list of hostile images, and the seeds that are made of it:
#	seeds tests/fuzz/corpus
bttfs_unit_test(hostile_list support/hostile.c support/hostile_cases.c
  ONE_THREAD LIBS btt lanes)
target_include_directories(check_hostile_list PRIVATE ${PROJECT_SOURCE_DIR}/btt)
add_executable(seeds fuzz/seeds.c support/hostile.c support/hostile_cases.c)
target_include_directories(seeds PRIVATE ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(seeds PRIVATE bttfs_flags fuzz_image)
set_target_properties(seeds PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/fuzz)
add_test(NAME fuzz-seeds COMMAND seeds --check ${fuzz_corpus})
set_tests_properties(fuzz-seeds PROPERTIES LABELS "unit;fuzz" TIMEOUT 60)
bttfs_one_thread(fuzz-seeds seeds)
add_dependencies(fuzz_targets seeds)

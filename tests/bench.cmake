# What the engine costs, beside the floor and its peers.  tests/bench/run
# builds and runs it; the tests below fail on a broken benchmark only, never
# on a time.
add_executable(bench
  bench/bench.c
  bench/goals.c
  bench/life.c
  bench/loads.c
  bench/measure.c
  bench/report.c
  bench/subject_copy.c
  bench/subject_engine.c
  bench/subject_file.c
  bench/subject_floor.c
  bench/subject_pmemblk.c)
target_link_libraries(bench PRIVATE bttfs_flags btt PkgConfig::PMEM2
  ${CMAKE_DL_LIBS})
# Not a test: prints what counting a request costs.
add_executable(bench_stats bench/bench_stats.c)
target_link_libraries(bench_stats PRIVATE bttfs_flags bttfs_devices)
add_test(NAME bench-quick COMMAND bench --quick
  --disk ${CMAKE_CURRENT_BINARY_DIR}
  --json ${CMAKE_CURRENT_BINARY_DIR}/bench-quick/engine.json)
set_tests_properties(bench-quick PROPERTIES LABELS bench TIMEOUT 300
  FIXTURES_SETUP bench_rows)
file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/bench-quick)
add_test(NAME bench-plots COMMAND python3
  ${CMAKE_CURRENT_SOURCE_DIR}/bench/plots.py
  ${CMAKE_CURRENT_BINARY_DIR}/bench-quick)
set_tests_properties(bench-plots PROPERTIES LABELS bench TIMEOUT 20
  FIXTURES_REQUIRED bench_rows)

# What a check of a map costs; a small one of it to see that it works.
add_executable(bench_check bench/bench_check.c)
target_include_directories(bench_check PRIVATE ${PROJECT_SOURCE_DIR}/btt)
target_link_libraries(bench_check PRIVATE bttfs_flags btt)
add_test(NAME bench-check
  COMMAND bench_check ${CMAKE_CURRENT_BINARY_DIR}/bench-check.img 2)
set_tests_properties(bench-check PROPERTIES LABELS bench TIMEOUT 120)

# What a file in a FUSE mount costs at least.
pkg_check_modules(URING REQUIRED IMPORTED_TARGET liburing)
add_executable(memory_server
  bench/memory_server.c
  bench/memory_server_ring.c)
target_include_directories(memory_server PRIVATE ${PROJECT_SOURCE_DIR}/daemon)
target_link_libraries(memory_server PRIVATE bttfs_flags PkgConfig::URING
  Threads::Threads)
add_test(NAME bench-fuse-quick COMMAND python3
  ${CMAKE_CURRENT_SOURCE_DIR}/bench/fuse_bench.py --quick
  --plot ${CMAKE_CURRENT_BINARY_DIR}/bench-fuse-quick.svg
  --disk ${CMAKE_CURRENT_BINARY_DIR} ${PROJECT_BINARY_DIR})
set_tests_properties(bench-fuse-quick PROPERTIES LABELS bench TIMEOUT 300
  SKIP_RETURN_CODE 77)

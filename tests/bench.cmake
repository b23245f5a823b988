# What the engine costs, beside the floor and its peers.  tests/bench/run
# builds and runs it; the tests below fail on a broken benchmark only, never
# on a time.
add_executable(bench
  bench/bench.c
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
  --disk ${CMAKE_CURRENT_BINARY_DIR})
set_tests_properties(bench-quick PROPERTIES LABELS bench TIMEOUT 300
  RUN_SERIAL ON)

# What a check of a map costs; a small one of it to see that it works.
add_executable(bench_check bench/bench_check.c)
target_include_directories(bench_check PRIVATE ${PROJECT_SOURCE_DIR}/btt)
target_link_libraries(bench_check PRIVATE bttfs_flags btt)
add_test(NAME bench-check
  COMMAND bench_check ${CMAKE_CURRENT_BINARY_DIR}/bench-check.img 2)
set_tests_properties(bench-check PROPERTIES LABELS bench TIMEOUT 120)

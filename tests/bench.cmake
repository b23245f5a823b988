# What the engine costs, beside the floor and its peers.  tests/bench/run
# builds and runs it; the test below fails on a broken benchmark only, never
# on a time.
add_executable(bench
  bench/bench.c
  bench/subject_engine.c
  bench/subject_file.c
  bench/subject_floor.c
  bench/subject_pmemblk.c)
target_link_libraries(bench PRIVATE bttfs_flags btt ${CMAKE_DL_LIBS})
add_test(NAME bench-quick COMMAND bench --quick --filter " 2T"
  --disk ${CMAKE_CURRENT_BINARY_DIR})
set_tests_properties(bench-quick PROPERTIES LABELS bench TIMEOUT 300
  RUN_SERIAL ON)

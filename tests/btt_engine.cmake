# The engine as its callers see it, on media in RAM.
bttfs_unit_test(engine ONE_THREAD LIBS btt lanes)
bttfs_unit_test(kept LIBS btt lanes)
bttfs_unit_test(stress LIBS btt lanes LABEL stress)
bttfs_unit_test(histogram ONE_THREAD LIBS btt lanes)
bttfs_unit_test(bad LIBS btt lanes)
bttfs_unit_test(clear LIBS btt lanes)
bttfs_unit_test(scrub LIBS btt lanes)
# What opening makes of interrupted writes.
bttfs_unit_test(recovery ONE_THREAD LIBS btt lanes)
target_include_directories(check_recovery PRIVATE ${PROJECT_SOURCE_DIR}/btt)
# T-B2, T-B3; and T-B4, which is T-B2 with the lock of the lanes left out.
bttfs_unit_test(lane_writers LIBS btt lanes LABEL stress)
bttfs_unit_test(lane_readers LIBS btt lanes LABEL stress)
add_executable(check_lane_unlocked
  unit/check_lane_writers.c support/lane_unlocked.c)
target_compile_definitions(check_lane_unlocked PRIVATE LANES_UNLOCKED)
target_include_directories(check_lane_unlocked PRIVATE
  ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(check_lane_unlocked PRIVATE
  bttfs_flags btt lanes PkgConfig::CHECK)
# Under ThreadSanitizer it would be ended by the race, not by the test.
if(NOT BTTFS_SANITIZE MATCHES "thread")
  add_test(NAME lane_unlocked COMMAND check_lane_unlocked)
  set_tests_properties(lane_unlocked PROPERTIES LABELS stress TIMEOUT 120)
endif()

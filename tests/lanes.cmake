# The locks, and the validator that watches their use.
bttfs_unit_test(sync)
bttfs_unit_test(held)
bttfs_unit_test(graph)
bttfs_unit_test(idle)
bttfs_unit_test(watch)
bttfs_unit_test(points)
bttfs_unit_test(shapes)
bttfs_unit_test(lane)
bttfs_unit_test(lane_owner)
bttfs_unit_test(lane_misuse)
bttfs_unit_test(stripe)
# These look beneath the public header, at the held stack itself.
foreach(program check_held check_graph check_idle check_points check_shapes
    check_watch)
  target_include_directories(${program} PRIVATE
    ${CMAKE_CURRENT_LIST_DIR}/../lanes)
endforeach()

# Not a test: prints what a lock costs beside a plain one.
add_executable(bench_lock bench/bench_lock.c)
target_link_libraries(bench_lock PRIVATE bttfs_flags lanes)

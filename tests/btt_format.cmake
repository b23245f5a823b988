# The format: encoding, geometry, creating, finding and checking a BTT.
bttfs_unit_test(layout ONE_THREAD LIBS btt lanes)
bttfs_unit_test(geometry ONE_THREAD LIBS btt lanes)
bttfs_unit_test(flog ONE_THREAD LIBS btt lanes)
bttfs_unit_test(format ONE_THREAD LIBS btt lanes)
bttfs_unit_test(destroy ONE_THREAD LIBS btt lanes)
bttfs_unit_test(probe ONE_THREAD LIBS btt lanes)
bttfs_unit_test(probe_backup ONE_THREAD LIBS btt lanes)
bttfs_unit_test(probe_layout ONE_THREAD LIBS btt lanes)
bttfs_unit_test(label ONE_THREAD LIBS btt lanes)
bttfs_unit_test(namespace ONE_THREAD LIBS btt lanes)
bttfs_unit_test(check LIBS btt lanes)
bttfs_unit_test(check_map LIBS btt lanes)
bttfs_unit_test(repair ONE_THREAD LIBS btt lanes)
bttfs_unit_test(repair_log ONE_THREAD LIBS btt lanes)
bttfs_unit_test(undo ONE_THREAD LIBS btt lanes)
# Random damage: some of it always, much of it where there is time.
bttfs_unit_test(repair_random ONE_THREAD LIBS btt lanes)
set_tests_properties(repair_random PROPERTIES TIMEOUT 300)
add_test(NAME repair-random-long COMMAND check_repair_random)
set_tests_properties(repair-random-long PROPERTIES LABELS slow TIMEOUT 7200
  ENVIRONMENT "BTTFS_REPAIR_SEEDS=2000;BTTFS_REPAIR_POINTS=1000000")
bttfs_unit_test(inspect ONE_THREAD LIBS btt lanes)
bttfs_unit_test(open ONE_THREAD LIBS btt lanes)
# Images of others: those in the tree, and those beside it if there are any.
bttfs_unit_test(fixtures ONE_THREAD LIBS btt lanes)
target_compile_definitions(check_fixtures PRIVATE
  FIXTURES="${CMAKE_CURRENT_LIST_DIR}/fixtures")
bttfs_unit_test(foreign ONE_THREAD LIBS btt lanes)
bttfs_unit_test(foreign_repair ONE_THREAD LIBS btt lanes)
foreach(name foreign foreign_repair)
  target_compile_definitions(check_${name} PRIVATE
    SHARED="${PROJECT_SOURCE_DIR}/../shared/fixtures")
endforeach()
# PMDK's checker, where it is installed.
bttfs_unit_test(pmempool LIBS btt lanes ${CMAKE_DL_LIBS} LABEL foreign)
# They look beneath the public headers.
foreach(name
    layout geometry flog format destroy probe probe_backup probe_layout label namespace
    check check_map repair repair_log repair_random undo inspect open pmempool
    fixtures foreign foreign_repair)
  target_include_directories(check_${name} PRIVATE ${PROJECT_SOURCE_DIR}/btt)
endforeach()

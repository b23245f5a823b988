# bttctl's own modules, and the program as people call it.
set(daemon ${PROJECT_SOURCE_DIR}/daemon)
bttfs_unit_test(size ONE_THREAD LIBS bttfs_daemon_core)
bttfs_unit_test(suggest ONE_THREAD LIBS bttfs_daemon_core)
bttfs_unit_test(stats_text ${daemon}/stats_text.c
  ONE_THREAD LIBS bttfs_daemon_core PkgConfig::JSONC)
bttfs_unit_test(top ${daemon}/top.c
  ONE_THREAD LIBS bttfs_daemon_core PkgConfig::JSONC)
bttfs_unit_test(progress
  ${daemon}/progress.c ${daemon}/interrupt.c
  ONE_THREAD LIBS bttfs_daemon_core)
bttfs_unit_test(ctl_option
  ${daemon}/ctl_option.c ${daemon}/ctl_output.c
  ONE_THREAD LIBS bttfs_daemon_core PkgConfig::JSONC)

# The program as people call it; e2e/functions.sh says what it wants to know.
foreach(name bttctl completion dump examples infoblock hostile)
  add_test(NAME ${name}
    COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/e2e/test-${name}.sh)
  set_tests_properties(${name} PROPERTIES
    TIMEOUT 600
    SKIP_RETURN_CODE 77
    FIXTURES_REQUIRED e2e
    ENVIRONMENT "BTTFS_BIN=$<TARGET_FILE_DIR:bttctl>;BTTFS_SCRATCH=${CMAKE_CURRENT_BINARY_DIR}")
endforeach()
set_tests_properties(bttctl completion dump examples infoblock PROPERTIES LABELS e2e)
set_tests_properties(hostile PROPERTIES LABELS hostile)

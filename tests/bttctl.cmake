# bttctl's own modules, and the program as people call it.
set(daemon ${PROJECT_SOURCE_DIR}/daemon)
bttfs_unit_test(size ${daemon}/size.c LIBS btt)
bttfs_unit_test(suggest ${daemon}/suggest.c)
bttfs_unit_test(progress
  ${daemon}/progress.c ${daemon}/interrupt.c ${daemon}/size.c LIBS btt)
bttfs_unit_test(ctl_option
  ${daemon}/ctl_option.c ${daemon}/ctl_output.c ${daemon}/size.c
  ${daemon}/suggest.c LIBS btt PkgConfig::JSONC)

# The first argument is the program, the second the tree that it is from.
add_test(NAME bttctl COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/e2e/test-bttctl.sh
  $<TARGET_FILE:bttctl> ${PROJECT_SOURCE_DIR})
set_tests_properties(bttctl PROPERTIES
  LABELS e2e TIMEOUT 600 SKIP_RETURN_CODE 77)
add_test(NAME hostile
  COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/e2e/test-hostile.sh
  $<TARGET_FILE:bttctl> ${PROJECT_SOURCE_DIR})
set_tests_properties(hostile PROPERTIES
  LABELS hostile TIMEOUT 600 SKIP_RETURN_CODE 77)

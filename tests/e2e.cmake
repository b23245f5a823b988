# Whole programs on real mounts.  Each script of e2e/ is a test; functions.sh
# says what it needs to know.  Scripts stop themselves after the time that they
# give themselves and clean up, TIMEOUT is for those that cannot even do that.
set(e2e_dir ${CMAKE_CURRENT_LIST_DIR}/e2e)
set(e2e_scratch ${CMAKE_CURRENT_BINARY_DIR})

add_executable(storm support/storm.c support/storm_table.c support/sector.c)
target_link_libraries(storm PRIVATE bttfs_flags Threads::Threads)

# bttfs_e2e_test(NAME SCRIPT [argument...] [BESIDE] [LABELS label...]
#                [TIMEOUT seconds])
# Serial, since each of them alone keeps a small machine busy; but for those
# that have little more than one process at work at a time, and look at what
# comes, not when: these run BESIDE others.
function(bttfs_e2e_test name script)
  cmake_parse_arguments(PARSE_ARGV 2 arg "BESIDE" "TIMEOUT" "LABELS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  # A script gives back what it holds only if it ends before it is killed.
  math(EXPR limit "${arg_TIMEOUT} - 30")
  add_test(NAME ${name}
    COMMAND bash ${e2e_dir}/${script} ${arg_UNPARSED_ARGUMENTS})
  set_tests_properties(${name} PROPERTIES
    LABELS "${arg_LABELS}"
    TIMEOUT ${arg_TIMEOUT}
    SKIP_RETURN_CODE 77
    FIXTURES_REQUIRED e2e
    ENVIRONMENT "BTTFS_BIN=$<TARGET_FILE_DIR:bttfs>;BTTFS_SUPPORT=$<TARGET_FILE_DIR:storm>;BTTFS_SCRATCH=${e2e_scratch};BTTFS_TIME_LIMIT=${limit}")
  if(NOT arg_BESIDE)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

bttfs_e2e_test(e2e-fixtures test-fixtures.sh BESIDE LABELS e2e)
bttfs_e2e_test(e2e-blockdev test-blockdev.sh LABELS e2e)
bttfs_e2e_test(e2e-fio test-fio.sh LABELS e2e)
bttfs_e2e_test(e2e-loop-ext4 test-loop-ext4.sh BESIDE LABELS e2e)
bttfs_e2e_test(e2e-errors test-errors.sh LABELS e2e)
bttfs_e2e_test(e2e-signals test-signals.sh LABELS e2e)
bttfs_e2e_test(e2e-storm test-storm.sh LABELS e2e)
bttfs_e2e_test(e2e-survive test-survive.sh 6 LABELS e2e)
bttfs_e2e_test(e2e-survive-many test-survive.sh 100 LABELS e2e slow
  TIMEOUT 7200)
bttfs_e2e_test(e2e-stack test-stack.sh LABELS e2e)
bttfs_e2e_test(e2e-transport test-transport.sh LABELS e2e)
bttfs_e2e_test(e2e-systemd test-systemd.sh LABELS e2e slow nspawn TIMEOUT 1800)
bttfs_e2e_test(e2e-upgrade test-upgrade.sh LABELS e2e)
bttfs_e2e_test(e2e-mount test-mount.sh LABELS e2e)
bttfs_e2e_test(e2e-package test-package.sh BESIDE LABELS e2e TIMEOUT 1000)
bttfs_e2e_test(e2e-stats test-stats.sh LABELS e2e)
bttfs_e2e_test(e2e-stress test-stress.sh LABELS e2e)
bttfs_e2e_test(e2e-stress-long test-stress.sh 30 64M
  LABELS e2e slow TIMEOUT 1800)
bttfs_e2e_test(e2e-config test-config.sh LABELS e2e)
bttfs_e2e_test(e2e-control test-control.sh LABELS e2e)
bttfs_e2e_test(e2e-badblocks test-badblocks.sh BESIDE LABELS e2e)
bttfs_e2e_test(e2e-monitor test-monitor.sh LABELS e2e)
bttfs_e2e_test(e2e-control-wedge test-control-wedge.sh LABELS e2e)
bttfs_e2e_test(e2e-wedge-start test-wedge-start.sh LABELS e2e slow)
bttfs_e2e_test(e2e-control-many test-control-many.sh LABELS e2e)
bttfs_e2e_test(e2e-control-many-long test-control-many.sh 1000
  LABELS e2e slow TIMEOUT 7200)
set_property(TEST e2e-control-many-long APPEND PROPERTY ENVIRONMENT
  e2e_many_limit=7000)
bttfs_e2e_test(e2e-control-stress test-control-stress.sh 10 LABELS e2e)
bttfs_e2e_test(e2e-control-stress-long test-control-stress.sh 600
  LABELS e2e slow TIMEOUT 4000)
bttfs_e2e_test(e2e-kill test-kill.sh 5 LABELS e2e)
bttfs_e2e_test(e2e-kill-many test-kill.sh 200 LABELS e2e slow TIMEOUT 7200)
bttfs_e2e_test(e2e-vm test-vm.sh LABELS kernel TIMEOUT 900)
bttfs_e2e_test(e2e-kernel test-kernel.sh BESIDE LABELS kernel TIMEOUT 1900)
bttfs_e2e_test(e2e-kernel-matrix test-kernel.sh matrix
  LABELS kernel slow TIMEOUT 14100)
bttfs_e2e_test(e2e-repair test-repair.sh BESIDE LABELS e2e)
bttfs_e2e_test(e2e-repair-many test-repair.sh 100 LABELS e2e slow TIMEOUT 3600)
bttfs_e2e_test(e2e-repair-kernel test-repair-kernel.sh BESIDE
  LABELS kernel TIMEOUT 1800)
bttfs_e2e_test(e2e-tsan test-tsan.sh ${CMAKE_CURRENT_BINARY_DIR}/tsan
  LABELS e2e slow TIMEOUT 1800)
# Chosen by the presets that have a sanitizer.  A long run of the latter is
# e2e-control-stress-long, in their directories as in others.
if(BTTFS_SANITIZE)
  bttfs_e2e_test(e2e-sanitized test-sanitized.sh LABELS stress)
  bttfs_e2e_test(e2e-control-sanitized test-control-stress.sh 10 LABELS stress)
endif()

# Whatever the others have left behind, also those that were killed.
add_test(NAME e2e-clean COMMAND bash ${e2e_dir}/test-clean.sh)
set_tests_properties(e2e-clean PROPERTIES
  LABELS e2e TIMEOUT 60 RUN_SERIAL ON FIXTURES_CLEANUP e2e
  ENVIRONMENT "BTTFS_BIN=$<TARGET_FILE_DIR:bttfs>")

# The daemon's own modules.
bttfs_unit_test(config ONE_THREAD LIBS bttfs_devices)
bttfs_unit_test(confine LIBS bttfs_devices)
bttfs_unit_test(options ONE_THREAD LIBS bttfs_devices)
bttfs_unit_test(fs_io LIBS bttfs_devices)
bttfs_unit_test(fd_store ONE_THREAD LIBS bttfs_devices)
bttfs_unit_test(lock_watch LIBS bttfs_devices)
bttfs_unit_test(reserve LIBS bttfs_devices)
bttfs_unit_test(io_stats LIBS bttfs_devices)
target_link_options(check_io_stats PRIVATE
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc)
bttfs_unit_test(manager LIBS bttfs_devices)
# T-B6.
bttfs_unit_test(detach_writers LIBS bttfs_devices LABEL stress)
bttfs_unit_test(manager_many LIBS bttfs_devices)
bttfs_unit_test(manager_bad LIBS bttfs_devices)
bttfs_unit_test(manager_locks LIBS bttfs_devices)
target_include_directories(check_manager_locks PRIVATE
  ${PROJECT_SOURCE_DIR}/btt)
bttfs_unit_test(control LIBS bttfs_devices PkgConfig::JSONC)
# T-A7.
include(support/fault.cmake)
bttfs_unit_test(attach_faults LIBS bttfs_devices)
bttfs_fault(check_attach_faults)
target_link_options(check_attach_faults PRIVATE
  -Wl,--wrap=job_work_begin,--wrap=job_work_end)

# The seven fixes to libnvdimm that this part grew from, each with a test of its
# name (control-plane.md A.1 to A.7); the seventh is lockdep_coverage in
# locks.cmake.
foreach(fix IN ITEMS kill_device no_duplicate_unregister
    badblocks_before_namespaces list_mutex_not_held_over_ioctl
    wait_probe_idle_abba)
  add_test(NAME ${fix} COMMAND check_manager_many)
  set_tests_properties(${fix} PROPERTIES
    LABELS unit TIMEOUT 120 ENVIRONMENT CK_RUN_CASE=${fix})
endforeach()
add_test(NAME reentrant_ioctl COMMAND check_control)
set_tests_properties(reentrant_ioctl PROPERTIES
  LABELS unit TIMEOUT 120 ENVIRONMENT CK_RUN_CASE=reentrant_ioctl)

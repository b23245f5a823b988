# What fails below the daemon: the power of a disk, its space, its syncs.  More
# cuts by hand:
#	tests/e2e/test-powercut.sh -b BUILD-DIRECTORY 50
add_executable(volatile_disk powercut/volatile_disk.c)
target_link_libraries(volatile_disk PRIVATE bttfs_flags PkgConfig::FUSE3)
bttfs_e2e_test(e2e-powercut test-powercut.sh 3 LABELS e2e)
bttfs_e2e_test(e2e-powercut-many test-powercut.sh 50
  LABELS e2e slow TIMEOUT 7200)
bttfs_e2e_test(e2e-faults test-faults.sh LABELS e2e TIMEOUT 700)
bttfs_e2e_test(e2e-powercut-vm test-powercut-vm.sh 3
  LABELS kernel TIMEOUT 900)
bttfs_e2e_test(e2e-powercut-vm-many test-powercut-vm.sh 50
  LABELS kernel slow TIMEOUT 7200)
bttfs_e2e_test(e2e-kill-fio test-kill-fio.sh 2 LABELS e2e)
bttfs_e2e_test(e2e-kill-fio-many test-kill-fio.sh 50
  LABELS e2e slow TIMEOUT 7200)

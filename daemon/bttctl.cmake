# bttctl, the command line program.  libblkid tells what lies on a device that
# is about to be overwritten.
pkg_check_modules(BLKID REQUIRED IMPORTED_TARGET blkid)

# Sizes and suggestions are in bttfs_daemon_core, which bttfs uses as well.
set(BTTCTL_SOURCES
  backing.c
  bttctl.c
  ctl_check.c
  ctl_create.c
  ctl_info.c
  ctl_option.c
  ctl_output.c
  infoblock.c
  interrupt.c
  label_list.c
  occupant.c
  progress.c)

add_executable(bttctl ${BTTCTL_SOURCES})
target_link_libraries(bttctl PRIVATE
  bttfs_flags bttfs_daemon_core PkgConfig::BLKID PkgConfig::JSONC)
install(TARGETS bttctl DESTINATION ${CMAKE_INSTALL_BINDIR})

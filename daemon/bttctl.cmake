# bttctl, the command line program.  libblkid tells what lies on a device that
# is about to be overwritten.
pkg_check_modules(BLKID REQUIRED IMPORTED_TARGET blkid)

set(BTTCTL_SOURCES
  backing.c
  bttctl.c
  ctl_check.c
  ctl_create.c
  ctl_info.c
  ctl_option.c
  ctl_output.c
  interrupt.c
  occupant.c
  progress.c
  size.c
  suggest.c)

add_executable(bttctl ${BTTCTL_SOURCES})
target_link_libraries(bttctl PRIVATE
  bttfs_flags btt PkgConfig::BLKID PkgConfig::JSONC)
install(TARGETS bttctl DESTINATION ${CMAKE_INSTALL_BINDIR})

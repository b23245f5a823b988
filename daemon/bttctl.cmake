# bttctl, the command line program.  libblkid tells what lies on a device that
# is about to be overwritten.
pkg_check_modules(BLKID REQUIRED IMPORTED_TARGET blkid)

# Sizes and suggestions are in bttfs_daemon_core, which bttfs uses as well.
set(BTTCTL_SOURCES
  backing.c
  bttctl.c
  check_output.c
  check_repair.c
  colour.c
  ctl_attach.c
  ctl_bad.c
  ctl_check.c
  ctl_create.c
  ctl_destroy.c
  ctl_dump.c
  ctl_info.c
  ctl_job.c
  ctl_list.c
  ctl_map.c
  ctl_monitor.c
  ctl_online.c
  ctl_option.c
  ctl_output.c
  ctl_read_infoblock.c
  ctl_scrub.c
  ctl_stats.c
  ctl_top.c
  ctl_undo.c
  ctl_upgrade.c
  ctl_write_infoblock.c
  infoblock.c
  infoblock_file.c
  infoblock_make.c
  interrupt.c
  json_stream.c
  label_list.c
  log_text.c
  map_run.c
  monitor_config.c
  occupant.c
  progress.c
  remote.c
  stats_text.c
  top.c)

add_executable(bttctl ${BTTCTL_SOURCES})
target_link_libraries(bttctl PRIVATE
  bttfs_flags bttfs_daemon_core PkgConfig::BLKID PkgConfig::JSONC)
install(TARGETS bttctl DESTINATION ${CMAKE_INSTALL_BINDIR})
# Where bash-completion looks for what a command's name asks for.
install(FILES bttctl.bash
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  RENAME bttctl)

# The daemon's own modules.
bttfs_unit_test(options LIBS bttfs_daemon_core)
bttfs_unit_test(fs_io
  ${PROJECT_SOURCE_DIR}/daemon/fs.c ${PROJECT_SOURCE_DIR}/daemon/fs_io.c
  LIBS bttfs_daemon_core PkgConfig::FUSE3)
target_compile_definitions(check_fs_io PRIVATE FUSE_USE_VERSION=314)

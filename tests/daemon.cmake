# The daemon's own modules.
bttfs_unit_test(options LIBS bttfs_daemon_core)

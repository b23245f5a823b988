# The engine as its callers see it, on media in RAM.
bttfs_unit_test(engine LIBS btt lanes)
bttfs_unit_test(kept LIBS btt lanes)
bttfs_unit_test(stress LIBS btt lanes LABEL stress)
bttfs_unit_test(histogram LIBS btt lanes)
bttfs_unit_test(bad LIBS btt lanes)
# What opening makes of interrupted writes.
bttfs_unit_test(recovery LIBS btt lanes)
target_include_directories(check_recovery PRIVATE ${PROJECT_SOURCE_DIR}/btt)

# Media against files, memory and devices, without the engine.
bttfs_unit_test(media LIBS btt lanes)
bttfs_unit_test(media_dax ONE_THREAD LIBS btt lanes)
bttfs_unit_test(media_fault LIBS btt lanes)
bttfs_unit_test(media_open ONE_THREAD LIBS btt lanes)
bttfs_unit_test(media_root LIBS btt lanes)
bttfs_unit_test(badlist ONE_THREAD LIBS btt lanes)
target_include_directories(check_badlist PRIVATE ${PROJECT_SOURCE_DIR}/btt)

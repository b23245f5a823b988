# What others made, and what is made for others.
bttfs_unit_test(pool LIBS btt lanes)
target_compile_definitions(check_pool PRIVATE
  FIXTURES="${CMAKE_CURRENT_LIST_DIR}/fixtures")
# libpmemblk on our pools and we on its; skipped where it is missing.
bttfs_unit_test(pmemblk LIBS btt lanes ${CMAKE_DL_LIBS})
foreach(name pool pmemblk)
  target_compile_definitions(check_${name} PRIVATE
    SCRATCH="${CMAKE_CURRENT_BINARY_DIR}")
  target_include_directories(check_${name} PRIVATE ${PROJECT_SOURCE_DIR}/btt)
endforeach()

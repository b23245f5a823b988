# What others made, and what is made for others: pools, and many arenas.
bttfs_unit_test(pool ONE_THREAD LIBS btt lanes)
target_compile_definitions(check_pool PRIVATE
  FIXTURES="${CMAKE_CURRENT_LIST_DIR}/fixtures")
# libpmemblk on our pools and we on its; skipped where it is missing.
bttfs_unit_test(pmemblk ONE_THREAD LIBS btt lanes ${CMAKE_DL_LIBS})
set(dialects pool pmemblk)
# More than 512 GiB, in sparse files, which ThreadSanitizer cannot map.
if(NOT BTTFS_SANITIZE MATCHES thread)
  bttfs_unit_test(arenas LIBS btt lanes)
  set_tests_properties(arenas PROPERTIES TIMEOUT 300)
  list(APPEND dialects arenas)
endif()
foreach(name IN LISTS dialects)
  target_compile_definitions(check_${name} PRIVATE
    SCRATCH="${CMAKE_CURRENT_BINARY_DIR}")
  target_include_directories(check_${name} PRIVATE ${PROJECT_SOURCE_DIR}/btt)
endforeach()

# Damaged images, to libbtt and to the independent model of the kernel that lies
# beside the tree.  All of them:
#	tests/differential/differential.py run build/release/tests/verdict \
#	    ../shared/kernel-vm/bttimg.py 10000
add_executable(verdict differential/verdict.c)
target_include_directories(verdict PRIVATE ${PROJECT_SOURCE_DIR}/btt)
target_link_libraries(verdict PRIVATE bttfs_flags btt lanes)
foreach(size IN ITEMS 300 10000)
  add_test(NAME differential-${size}
    COMMAND python3 ${CMAKE_CURRENT_LIST_DIR}/differential/differential.py
      run $<TARGET_FILE:verdict>
      ${PROJECT_SOURCE_DIR}/../shared/kernel-vm/bttimg.py ${size})
  set_tests_properties(differential-${size} PROPERTIES
    LABELS hostile TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
set_tests_properties(differential-10000 PROPERTIES
  LABELS "hostile;slow" TIMEOUT 7200)
# Some of them to the kernel itself.
bttfs_e2e_test(differential-kernel test-differential-kernel.sh 50
  LABELS kernel slow TIMEOUT 3600)

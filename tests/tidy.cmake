# The sources themselves; see the head of tidy/check_tidy.sh.
foreach(name tidy tidy_self manual)
  add_test(NAME ${name}
    COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/tidy/check_${name}.sh)
  set_tests_properties(${name} PROPERTIES
    LABELS tidy TIMEOUT 120 SKIP_RETURN_CODE 77)
endforeach()

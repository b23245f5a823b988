# The model of lanes, readers, log, map and power cut, and its defects; longer:
#	tests/spin/run --long
add_test(NAME spin COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/spin/run)
set_tests_properties(spin PROPERTIES
  LABELS spin TIMEOUT 900 SKIP_RETURN_CODE 77)
